"""The images that a daemon holds, and how it keeps them.

There are three kinds of stores behind the same API:

- Docker's own (``overlay2`` and others) keeps extracted layers by their chain. An image's id is its
  configuration's digest.
- containerd's keeps blobs and unpacks them into snapshots. An image's id is the digest of what its name
  points to: for an image that cog-nix loaded, its manifest.
- Podman's, containers/storage, keeps extracted layers and finds them by digest. An image's id is its
  configuration's digest.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from cog_nix.image.delta import BEGINNING
from cog_nix.image.description import with_tag
from cog_nix.system.jsonvalue import list_of, mapping_of, text_of
from cog_nix_hooks.docker.failures import NotDockerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cog_nix.image.pieces import Piece
    from cog_nix_hooks.docker.engine import Engine

LABEL = "run.cog.nix.lock"
"""What all images have that cog-nix built, and those that were made on top of them."""

_LOAD = ("/images/load", {"quiet": "1"})

_REGISTRY = re.compile(r"(localhost|[^/]*[.:][^/]*)/")
"""What references begin with that name a registry (distribution, ``reference.ParseNormalizedNamed``)."""
_DRIVERS = {"overlay2": False, "overlayfs": True}
"""Whether a store driver of this name is one of containerd's; others may be either."""
_DRIVER_STATUS = ["driver-type", "io.containerd.snapshotter.v1"]


@dataclass(frozen=True)
class ImageInfo:
    """An image as ``GET /images/{name}/json`` or the list of images describes it."""

    id: str
    created: str
    labels: dict[str, Any]
    layers: tuple[str, ...]
    """Digests of its layers, uncompressed, from bottom to top."""
    names: tuple[str, ...]
    digests: tuple[str, ...]
    """Names with a registry's digest."""
    driver: str
    """Of the store that holds it."""
    complete: bool | None
    """Whether all content of it is there; None: that was not asked, or the daemon is too old to tell."""

    @classmethod
    def read(cls, found: object) -> Self:
        """Return an image of the API.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        image = mapping_of(found)
        config, root, driver = (
            mapping_of(image.get(name) or {}) for name in ("Config", "RootFS", "GraphDriver")
        )
        manifests = image.get("Manifests")
        return cls(
            text_of(image["Id"]),
            str(image.get("Created", "")),
            mapping_of(config.get("Labels") or {}),
            _texts(root.get("Layers")),
            _texts(image.get("RepoTags")),
            _texts(image.get("RepoDigests")),
            text_of(driver.get("Name", "")),
            None
            if manifests is None
            else all(mapping_of(one).get("Available") for one in list_of(manifests)),
        )


def _texts(found: object) -> tuple[str, ...]:
    return tuple(map(text_of, list_of(found or [])))


class Store(Enum):
    """How images are kept."""

    CHAINS = auto()
    """Docker's own stores."""
    BLOBS = auto()
    """containerd's."""
    PODMAN = auto()


class Images:
    """The images of a daemon."""

    def __init__(self, engine: Engine, *, podman: bool = False) -> None:
        self._engine = engine
        self._podman = podman
        self._driver = ""
        self._expected: dict[str, ImageInfo] = {}
        self.host = engine.host
        self.local = engine.local

    @cached_property
    def store(self) -> Store:
        """How they are kept; costs a request unless an image was found before."""
        if self._podman:
            return Store.PODMAN
        known = _DRIVERS.get(self._driver)
        if known is None:
            try:
                info = mapping_of(self._engine.get("/info"))
            except TypeError as error:
                raise NotDockerError("/info", error) from error
            known = _DRIVER_STATUS in (info.get("DriverStatus") or [])
        return Store.BLOBS if known else Store.CHAINS

    def find(self, reference: str, *, completeness: bool = True) -> ImageInfo | None:
        """Return what a name or an id stands for.

        Args:
            reference: the name or id.
            completeness: ask as well whether all content is there, which Docker tells from version 28 on.
        """
        path = f"/images/{reference}/json"
        found = self._engine.get(path, {"manifests": "1"} if completeness and not self._podman else None)
        if not found:
            return None
        image = _read(path, found)
        self._driver = image.driver
        return image

    def built_here(self) -> Iterator[ImageInfo]:
        """Yield images that cog-nix built; asking for each takes some 3 ms."""
        for listed in self._list({"filters": json.dumps({"label": [LABEL]})}):
            if image := self.find(listed.id):
                yield image

    def named(self) -> Iterator[ImageInfo]:
        """Yield images that have names; asking for each takes some 3 ms."""
        for listed in self._list({}):
            if listed.names and (image := self.find(listed.id, completeness=False)) and image.names:
                yield image

    def is_whole(self, image: ImageInfo) -> bool:
        """Tell whether all content of an image is there, in containerd's store.

        A load succeeds without blobs whose layers are unpacked already. Such an image runs; it cannot be
        saved, pushed, or be what the next delta counts on.
        """
        if image.complete is not None:
            return image.complete
        # Docker 27 says it in the list. Docker 26 and older leave out of it what is not whole.
        filters = {"reference": image.names[:1]} if image.names else {"dangling": ["true"]}
        listed = self._list({"manifests": "1", "filters": json.dumps(filters)})
        return any(one.complete is not False for one in listed if one.id == image.id)

    def expect(self, reference: str) -> None:
        """Prepare for an image that takes a name from another.

        containerd's store takes 15 ms to tell which that is, the others one or two.
        """
        if found := self.find(reference):
            self._expected[reference] = found
            self.begin()

    def expected(self) -> dict[str, ImageInfo]:
        """Return what names stood for when images were expected under them; that is forgotten then."""
        found, self._expected = self._expected, {}
        return found

    def begin(self) -> None:
        """Let Docker begin to take an archive that is still being made; :meth:`load` goes on with it.

        Docker's own stores unpack an archive in a process of its own, whose start takes as long as all that
        is done with a small layer. It starts with the first bytes of the archive: an empty file that nothing
        in it names. Docker takes what ends behind that for an archive without images.
        """
        if self.store is Store.CHAINS:
            self._engine.begin(*_LOAD, BEGINNING)

    def _list(self, query: dict[str, str]) -> list[ImageInfo]:
        path = "/images/json"
        found = self._engine.get(path, query) or []
        if not isinstance(found, list):
            raise NotDockerError(path, TypeError("it is not a list"))
        return [_read(path, one) for one in found]

    def load(self, archive: Iterable[Piece]) -> list[dict[str, Any]]:
        """Load an archive and return what the daemon said."""
        return self._engine.post(*_LOAD, archive)

    def tag(self, image_id: str, name: str) -> None:
        """Give an image a name.

        Podman takes one without a registry for one of Docker Hub's here, and for ``localhost/…`` in archives.
        """
        if self._podman and not _REGISTRY.match(name):
            name = f"localhost/{name}"
        repository, _, tag = with_tag(name).rpartition(":")
        self._engine.post(f"/images/{image_id}/tag", {"repo": repository, "tag": tag})

    def remove(self, reference: str) -> None:
        """Take a name away, or an image that has none."""
        self._engine.delete(f"/images/{reference}")


def _read(path: str, found: object) -> ImageInfo:
    try:
        return ImageInfo.read(found)
    except (ValueError, KeyError, TypeError) as error:
        raise NotDockerError(path, error) from error
