"""The :class:`cog_nix.plugins.spec.Runtime` on a Docker daemon."""

from __future__ import annotations

import os
import threading
from contextlib import closing, suppress
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cog_nix.cdi.failures import MissingDeviceDriverError
from cog_nix.errors import ImageError, RuntimeFailure
from cog_nix.image.description import with_tag
from cog_nix.image.failures import ImageNotHeldError, ImageNotPulledError
from cog_nix.plugins.spec import Held
from cog_nix.system.files import UnwritableError
from cog_nix.system.platforms import AMD64, parse_platform
from cog_nix_hooks.docker.archive import load_image
from cog_nix_hooks.docker.endpoint import files, find_endpoint
from cog_nix_hooks.docker.engine import Engine
from cog_nix_hooks.docker.failures import DaemonError
from cog_nix_hooks.docker.images import Images
from cog_nix_hooks.docker.pulling import PullProgress
from cog_nix_hooks.docker.sdk import asking, sdk_client

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cog_nix.plugins.spec import Container, ContainerRequest, Worker, WorkerRequest
    from cog_nix.report import Reporter
    from cog_nix.system.platforms import Platform
    from cog_nix_hooks.docker.endpoint import Endpoint
    from cog_nix_hooks.docker.images import ImageInfo

ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - where no address is known that only containers reach


class DockerRuntime:
    """Docker, wherever ``DOCKER_HOST`` or the current context says it is.

    Nothing is contacted before a method needs the daemon.
    """

    name = "docker"
    title = "Docker"
    shares_network = False

    @cached_property
    def endpoint(self) -> Endpoint:
        """Where the daemon is."""
        return find_endpoint()

    @cached_property
    def _engine(self) -> Engine:
        return Engine(self.endpoint)

    @cached_property
    def _images(self) -> Images:
        return Images(self._engine, podman=self.name == "podman")

    @cached_property
    def _loaded(self) -> dict[str, str]:
        """Ids of images by the name that they were given a moment ago."""
        return {}

    def close(self) -> None:
        """Close what is open; afterwards the runtime can still be used."""
        self.__dict__.pop("_images", None)
        engine: Engine | None = self.__dict__.pop("_engine", None)
        if engine:
            engine.close()

    def available(self) -> str | None:
        """Return None when the daemon answers, otherwise why not, in a sentence."""
        try:
            self._engine.ping()
        except RuntimeFailure as error:
            return error.message
        return None

    def image_id(self, reference: str) -> str | None:
        """Return the id of a held image, or None."""
        image = self._inspect(reference)
        return image.id if image else None

    def held(self, reference: str) -> Held | None:
        """Return how to ask for an image without this module; None for a daemon elsewhere.

        Of an image that was just loaded it is known what the daemon would answer, the first time.
        """
        socket = self.endpoint.socket_path
        found = (self._loaded.pop(reference, None) or self.image_id(reference)) if socket else None
        if socket is None or found is None:
            return None
        return Held(found, socket, f"/images/{quote(reference, safe='/:@')}/json", files(os.environ))

    def image_labels(self, reference: str) -> dict[str, str]:
        """Return a held image's labels."""
        return self._held_image(reference).labels

    def image_attributes(self, reference: str) -> dict[str, Any]:
        """Return all that the daemon knows of a held image."""
        self._held_image(reference)
        with closing(sdk_client(self.endpoint)) as client, asking(client, self.endpoint):
            return dict(client.inspect_image(reference))  # type: ignore[no-untyped-call]

    def held_layers(self) -> dict[str, tuple[str, ...]]:
        """Return the layers of all images that have a name."""
        return {image.names[0]: image.layers for image in self._images.named()}

    def save(self, reference: str, archive: Path) -> None:
        """Write a held image to a file (Docker Engine API, "ImageGet")."""
        self._held_image(reference)
        with closing(sdk_client(self.endpoint)) as client, asking(client, self.endpoint):
            chunks = client.get_image(reference)
            try:
                with archive.open("wb") as sink:
                    sink.writelines(chunks)
            except OSError as error:
                raise UnwritableError(archive, error) from error

    def listening_address(self) -> str:
        """Return this machine's address on Docker's default bridge, any address if it has none here."""
        try:
            with closing(sdk_client(self.endpoint)) as client, asking(client, self.endpoint):
                network = client.inspect_network("bridge")
        except DaemonError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            network = {}
        entries = (network.get("IPAM") or {}).get("Config") or ()
        return next((str(entry["Gateway"]) for entry in entries if "Gateway" in entry), ALL_ADDRESSES)

    def _held_image(self, reference: str) -> ImageInfo:
        """Return a held image.

        Raises:
            ImageError: there is no such image.
        """
        image = self._inspect(reference)
        if image is None:
            hint = f"Pull it (`docker pull {reference}`) or build it first."
            raise ImageNotHeldError("Docker", reference, hint=hint)
        return image

    def load(self, image: Path, tags: Sequence[str], reporter: Reporter) -> str:
        """Take an image from the store; see :func:`cog_nix_hooks.docker.archive.load_image`."""
        loaded = load_image(self._images, image, tags, reporter, in_background=self._in_background)
        self._loaded.update(dict.fromkeys(tags, loaded))
        return loaded

    def _in_background(self, do: Callable[[], None]) -> None:
        """Do something while the command goes on; it ends when this has ended."""
        if not self.endpoint.socket_path:  # there may be one connection for all requests
            do()
            return

        def clean_up() -> None:
            with suppress(RuntimeFailure):  # the image is loaded, and that is what was asked for
                do()

        threading.Thread(target=clean_up).start()

    def expect(self, reference: str) -> None:
        """Prepare for an image that is still being made and will be loaded under a name that another has."""
        self._images.expect(reference)

    def pull(self, reference: str, reporter: Reporter, platform: Platform | None = None) -> None:
        """Fetch an image from its registry, with the credentials that ``docker login`` left.

        A daemon for another processor takes what is for linux/amd64 where there is nothing else.
        """
        reporter.step(f"Pulling {reference}")
        refused = self._refusal(reference, reporter, platform)
        if refused and platform is None and self._is_for() != AMD64:
            refused = self._refusal(reference, reporter, AMD64)
        if refused:
            hint = "Check the name, and `docker login` if it is private."
            raise ImageNotPulledError(reference, refused, hint=hint)

    def _is_for(self) -> Platform | None:
        """Return the daemon's platform (Docker Engine API, "SystemVersion"); None: not known."""
        said = self._engine.get("/version")
        return parse_platform(str(said.get("Arch", ""))) if isinstance(said, dict) else None

    def _refusal(self, reference: str, reporter: Reporter, platform: Platform | None) -> str:
        """Pull an image; return why the daemon does not, or ""."""
        repository, _, tag = with_tag(reference).rpartition(":")
        client, refused = sdk_client(self.endpoint), ""
        name = platform.name if platform else None
        try:
            with (
                closing(client),
                asking(client, self.endpoint),
                reporter.bytes_bar("Downloading layers", None) as bar,
            ):
                progress = PullProgress(bar)
                for message in client.pull(repository, tag, stream=True, decode=True, platform=name):
                    refused = refused or str(message.get("error", ""))
                    progress.take(message)
                    reporter.log(" ".join(str(message[key]) for key in ("id", "status") if key in message))
        except DaemonError as error:
            refused = error.said
        return refused

    def start(self, request: ContainerRequest) -> Container:
        """Start a container; see :func:`cog_nix_hooks.docker.container.start_container`.

        A daemon without NVIDIA's device driver is asked for GPUs by their CDI names, where it knows such.
        """
        from cog_nix_hooks.docker.container import start_container  # noqa: PLC0415 - imports the SDK
        from cog_nix_hooks.docker.devices import by_name, known_to_docker  # noqa: PLC0415 - as above

        try:
            return start_container(sdk_client(self.endpoint), request, socket_path=self.endpoint.socket_path)
        except MissingDeviceDriverError:
            client = sdk_client(self.endpoint)
            with asking(client, self.endpoint):
                names = known_to_docker(request.gpus or "", client.info())
                if not names:
                    raise
        return start_container(client, request, by_name(names), socket_path=self.endpoint.socket_path)

    def start_worker(self, request: WorkerRequest) -> Worker:
        """Start a container that may make namespaces; see :mod:`cog_nix_hooks.docker.worker`."""
        from cog_nix_hooks.docker.worker import start_worker  # noqa: PLC0415 - imports the SDK

        client = sdk_client(self.endpoint)
        with asking(client, self.endpoint):
            info = client.info()
        return start_worker(client, request, info, podman=self.name == "podman")

    def _inspect(self, reference: str) -> ImageInfo | None:
        try:
            return self._images.find(reference, completeness=False)
        except DaemonError as error:
            raise ImageError(f"Docker cannot look up the image {reference!r}: {error.message}") from error
