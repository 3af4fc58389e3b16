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
from enum import Enum, auto
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cog_nix.image.delta import BEGINNING
from cog_nix.image.description import with_tag
from cog_nix.system.jsonvalue import list_of, mapping_of, text_of
from cog_nix_hooks.docker.failures import NotDockerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cog_nix.image.delta import Piece
    from cog_nix_hooks.docker.engine import Engine

ImageInfo = dict[str, Any]
"""An image as ``GET /images/{name}/json`` describes it."""

LABEL = "run.cog.nix.lock"
"""What all images have that cog-nix built, and those that were made on top of them."""

_LOAD = ("/images/load", {"quiet": "1"})

_REGISTRY = re.compile(r"(localhost|[^/]*[.:][^/]*)/")
"""What references begin with that name a registry (distribution, ``reference.ParseNormalizedNamed``)."""
_DRIVERS = {"overlay2": False, "overlayfs": True}
"""Whether a store driver of this name is one of containerd's; others may be either."""
_DRIVER_STATUS = ["driver-type", "io.containerd.snapshotter.v1"]


class Store(Enum):
    """How images are kept."""

    CHAINS = auto()
    """Docker's own stores."""
    BLOBS = auto()
    """containerd's."""
    PODMAN = auto()


class Images:
    """The images of a daemon.

    Args:
        engine: the daemon.
        podman: whether it is Podman.
    """

    def __init__(self, engine: Engine, *, podman: bool = False) -> None:
        self._engine = engine
        self._podman = podman
        self._driver = ""
        self._expected: dict[str, ImageInfo] = {}

    @cached_property
    def store(self) -> Store:
        """How they are kept; costs a request unless an image was found before."""
        if self._podman:
            return Store.PODMAN
        known = _DRIVERS.get(self._driver)
        if known is None:
            known = _DRIVER_STATUS in (self._mapping("/info").get("DriverStatus") or [])
        return Store.BLOBS if known else Store.CHAINS

    @property
    def local(self) -> bool:
        """Whether the daemon listens at a socket of this machine."""
        return self._engine.local

    def find(self, reference: str) -> ImageInfo | None:
        """Return what a name or an id stands for.

        Raises:
            DaemonError: it is no reference.
        """
        # Docker from 28 on tells in the same answer whether all content is there.
        query = None if self._podman else {"manifests": "1"}
        path = f"/images/{reference}/json"
        found = self._engine.get(path, query)
        if not found:
            return None
        try:
            image = _checked(found)
        except (ValueError, KeyError, TypeError) as error:
            raise NotDockerError(path, error) from error
        self._driver = (image.get("GraphDriver") or {}).get("Name", "")
        return image

    def built_here(self) -> Iterator[ImageInfo]:
        """Yield images that cog-nix built; asking for each takes some 3 ms."""
        query = {"filters": json.dumps({"label": [LABEL]})}
        for listed in self._list(query):
            if image := self.find(listed["Id"]):
                yield image

    def is_whole(self, image: ImageInfo) -> bool:
        """Tell whether all content of an image is there, in containerd's store.

        A load succeeds without blobs whose layers are unpacked already. Such an image runs; it cannot be
        saved, pushed, or be what the next delta counts on.
        """
        manifests = image.get("Manifests")
        if manifests is None:
            manifests = self._listed(image)
        return manifests is not None and all(one.get("Available") for one in manifests)

    def _listed(self, image: ImageInfo) -> list[dict[str, Any]] | None:
        # Docker 27 says it here. Docker 26 and older leave out of the list what is not whole.
        names = image.get("RepoTags")
        filters = {"reference": names[:1]} if names else {"dangling": ["true"]}
        query = {"manifests": "1", "filters": json.dumps(filters)}
        for listed in self._list(query):
            if listed["Id"] == image["Id"]:
                return listed.get("Manifests") or []
        return None

    def expect(self, reference: str) -> None:
        """Prepare for an image that takes a name from another.

        containerd's store takes 15 ms to tell which that is, the others one or two.

        Raises:
            DaemonError: it is no reference.
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

    def _mapping(self, path: str) -> dict[str, Any]:
        try:
            return mapping_of(self._engine.get(path))
        except TypeError as error:
            raise NotDockerError(path, error) from error

    def _list(self, query: dict[str, str]) -> list[ImageInfo]:
        path = "/images/json"
        try:
            return [_checked(one) for one in list_of(self._engine.get(path, query) or [])]
        except (ValueError, KeyError, TypeError) as error:
            raise NotDockerError(path, error) from error

    def load(self, archive: Iterable[Piece]) -> list[dict[str, Any]]:
        """Load an archive and return what the daemon said.

        Raises:
            DaemonError: it does not take it.
        """
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
        """Take a name away, or an image that has none.

        Raises:
            DaemonError: a container uses it, or another image needs it.
        """
        self._engine.delete(f"/images/{reference}")


def _checked(found: object) -> ImageInfo:
    """Return an image of the API, those of its fields that are used of the type that they have there.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    image = mapping_of(found)
    text_of(image["Id"])
    for name in ("GraphDriver", "RootFS", "Config"):
        mapping_of(image.get(name) or {})
    text_of((image.get("GraphDriver") or {}).get("Name", ""))
    mapping_of((image.get("Config") or {}).get("Labels") or {})
    for names in (image.get("RepoTags"), image.get("RepoDigests"), (image.get("RootFS") or {}).get("Layers")):
        for one in list_of(names or []):
            text_of(one)
    for one in list_of(image.get("Manifests") or []):
        mapping_of(one)
    return image


def layers(image: ImageInfo) -> tuple[str, ...]:
    """Return the digests of an image's layers, uncompressed, from bottom to top."""
    return tuple((image.get("RootFS") or {}).get("Layers") or ())
