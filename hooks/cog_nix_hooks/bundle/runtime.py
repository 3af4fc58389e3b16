"""The :class:`cog_nix.plugins.spec.Runtime` that needs neither a daemon nor root."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from cog_nix.errors import RuntimeFailure
from cog_nix.image.failures import ImageNotHeldError
from cog_nix.runtime.container import LOOPBACK
from cog_nix.system.platforms import host_platform, parse_platform
from cog_nix_hooks.bundle import rootfs
from cog_nix_hooks.bundle.choice import Engine, decide
from cog_nix_hooks.bundle.images import ImageStore
from cog_nix_hooks.bundle.programs import Programs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cog_nix.plugins.spec import ContainerRequest, Held
    from cog_nix.report import Reporter
    from cog_nix.system.platforms import Platform
    from cog_nix_hooks.bundle.choice import Reason
    from cog_nix_hooks.bundle.container import BundleContainer
    from cog_nix_hooks.bundle.images import HeldImage


class BundleRuntime:
    """Runs images from layers that are unpacked once, under crun, runc or bubblewrap.

    Args:
        root: folder for layers, images and containers.
        engine: path of the program that runs containers; None: the best that is here.
        method: how layers are joined (``overlay``, ``fuse``, ``copy``); None: the best that works.
        bring: returns a folder of programs for a machine that lacks them; None: nobody brings any.
    """

    name = "bundle"
    title = "a container"
    shares_network = True

    def __init__(
        self,
        root: Path,
        *,
        engine: str | None = None,
        method: str | None = None,
        bring: Callable[[], Path | None] | None = None,
    ) -> None:
        self._programs = Programs(bring)
        self._store = ImageStore(root, self._programs)
        self._named_engine = engine
        self._named_method = method

    @cached_property
    def _decision(self) -> Engine | tuple[Reason, ...]:
        return decide(self._store.root, self._programs, self._named_engine)

    def _engine(self) -> Engine:
        """Return what runs containers here."""
        if isinstance(self._decision, Engine):
            return self._decision
        raise RuntimeFailure(self.available() or "Nothing here runs containers.")

    @cached_property
    def _method(self) -> str:
        return self._named_method or rootfs.choose(self._store.root / "containers", self._engine().isolation)

    def available(self) -> str | None:
        """Return None when containers can run here, otherwise why not, in a sentence."""
        if isinstance(self._decision, Engine):
            return None
        return " ".join(f"{reason.message} What helps: {reason.remedy}" for reason in self._decision)

    def image_id(self, reference: str) -> str | None:
        """Return the id of a held image, or None."""
        image = self._store.find(reference)
        return image.id if image else None

    def held(self, reference: str) -> Held | None:
        """Return what tells without this module that an image is still held, and can be run."""
        found = self._store.held(reference)
        if found is None or not isinstance(self._decision, Engine):
            return None
        return replace(found, present=(*found.present, self._decision.path))

    def image_labels(self, reference: str) -> dict[str, str]:
        """Return a held image's labels."""
        return self.find(reference).labels

    def find(self, reference: str) -> HeldImage:
        """Return what is known of a held image."""
        image = self._store.find(reference)
        if image is None:
            hint = f"Build it:  cog-nix --runtime bundle build -t {reference}"
            raise ImageNotHeldError("The daemonless runtime", reference, hint=hint)
        return image

    def image_attributes(self, reference: str) -> dict[str, Any]:
        """Return what is known of a held image, in the words of Docker's API.

        Raises:
            ImageError: there is no such image.
        """
        image = self.find(reference)
        system, _, architecture = image.platform.partition("/")
        return {
            "Id": image.id,
            "Config": image.config,
            "Os": system,
            "Architecture": architecture,
            "RootFS": {"Layers": list(image.diff_ids)},
        }

    def layer_origins(self, reference: str) -> Sequence[str]:
        """Return what made each layer of a held image.

        Raises:
            ImageError: there is no such image.
        """
        image = self.find(reference)
        known = len(image.made_by) == len(image.diff_ids)
        return image.made_by if known else [""] * len(image.diff_ids)

    def open_layer(self, reference: str, number: int) -> AbstractContextManager[IO[bytes]]:
        """Yield the files of a layer as a tar; see :func:`cog_nix_hooks.bundle.packed.opened`."""
        from cog_nix_hooks.bundle.packed import opened  # noqa: PLC0415 - what runs needs none

        diff_id = self.find(reference).diff_ids[number]
        return opened(self._store.layers.folder(diff_id), self._store.layers.bound(diff_id))

    def held_layers(self) -> dict[str, tuple[str, ...]]:
        """Return the layers of all images that have a name."""
        return {name: image.diff_ids for name, image in self._store.named()}

    def listening_address(self) -> str:
        """Return loopback: containers have this machine's network."""
        return LOOPBACK

    def load(self, image: Path, tags: Sequence[str], reporter: Reporter) -> str:
        """Take an image from the store; see :meth:`cog_nix_hooks.bundle.images.ImageStore.load`."""
        return self._store.load(image, tags, reporter)

    def pull(self, reference: str, reporter: Reporter, platform: Platform | None = None) -> None:
        """Fetch an image from its registry; see :func:`cog_nix_hooks.bundle.pull.pull_image`."""
        from cog_nix_hooks.bundle.pull import pull_image  # noqa: PLC0415 - what was built here needs none

        pull_image(self._store, reference, reporter, platform)

    def start(self, request: ContainerRequest) -> BundleContainer:
        """Start a container; see :func:`cog_nix_hooks.bundle.container.start_container`."""
        from cog_nix_hooks.bundle.container import start_container  # noqa: PLC0415 - a build needs none

        image = self._store.find(request.image)
        platform = parse_platform(image.platform) if image else None
        if platform and platform != host_platform():
            from cog_nix.namespaces import emulation  # noqa: PLC0415 - most images are for this machine

            emulation.check(platform)
        return start_container(self._store, request, engine=self._engine(), method=self._method)
