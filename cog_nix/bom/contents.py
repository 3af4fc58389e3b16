"""What the files of an image say of packages: the database of its system, Python's metadata, and the like.

Only headers and the few files that matter are read; what is between is passed over.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cog_nix.elf import golang
from cog_nix.errors import ImageError
from cog_nix.image.databases import LARGEST
from cog_nix.image.description import ProjectFiles
from cog_nix.image.layer_bytes import LayerBytes
from cog_nix.image.project_files import UNKNOWN, entries
from cog_nix.image.whiteouts import hidden_by

if TYPE_CHECKING:
    from typing import BinaryIO

    from cog_nix.image.description import ImageDescription
    from cog_nix.plugins.spec import SystemDatabase

OS_RELEASE = "usr/lib/os-release"
_METADATA = re.compile(r"(.+/)?([^/]+\.dist-info/METADATA|[^/]+\.egg-info(/PKG-INFO)?|EGG-INFO/PKG-INFO)")
_DOCUMENT = re.compile(r"(.+/)?([^/]+\.dist-info/sboms/.+|(site|dist)-packages/.+\.(cdx|spdx)\.json)")
"""Bills that packages bring (PEP 770), and others by the names that scanners look for: pip's of its
``_vendor``. One in the project's folder may be of this very image."""
_NODE = re.compile(r"(.+/)?package\.json")
_WINDOWS = re.compile(r".+\.(exe|dll)", re.IGNORECASE)
_LIBRARY = re.compile(r"(?:.+/)?[^/]+\.libs/[^/]+\.so[^/]*")
_NIX = re.compile(r"nix/store/([0-9a-z]{32}-[^/]+)")


class UnreadableLayerError(ImageError):
    """A layer of a built image cannot be read.

    Args:
        layer: its name.
        reason: what is wrong with it.
    """

    def __init__(self, layer: str, reason: str) -> None:
        super().__init__(hint="Build it again.")
        self.layer, self.reason = layer, reason

    def __str__(self) -> str:
        return f"Layer {self.layer} cannot be read: {self.reason}"


@dataclass(frozen=True)
class Text:
    """A file that was read."""

    data: bytes
    layer: str
    """Name of the layer that has it."""


@dataclass
class Contents:
    """What an image has, by path; what a layer replaces or takes away is gone."""

    database: SystemDatabase
    """Of its system packages."""
    texts: dict[str, Text] = field(default_factory=dict)
    """Files that tell of packages."""
    links: dict[str, str] = field(default_factory=dict)
    """Targets of links below ``usr/share/doc``, where several packages share a copyright file."""
    store_paths: dict[str, str] = field(default_factory=dict)
    """Names in Nix's store, with the layer."""
    libraries: dict[str, str] = field(default_factory=dict)
    """Shared libraries that wheels bring from elsewhere (``NAME.libs``), with the layer."""
    programs: dict[str, tuple[tuple[golang.Module, ...], str]] = field(default_factory=dict)
    """Go programs: of which modules they were linked, and the layer."""
    large: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Files of the project that stay out of the store: hash (hexadecimal) and layer."""

    def copyright(self, package: str) -> bytes:
        """Return the copyright file of a system package; nothing where it has none."""
        for _ in range(3):
            path = self.database.copyright(package)
            if found := self.texts.get(path):
                return found.data
            folder, _, name = path.rpartition("/")
            target = self.links.get(path) or self.links.get(folder)
            if target is None:
                break
            parts = PurePosixPath(target).parts
            package = parts[-2] if parts[-1] == name and len(parts) > 1 else parts[-1]
        return b""

    def matters(self, path: str) -> bool:
        """Tell whether a file tells of packages."""
        database, folder = self.database, path.rpartition("/")[0].rpartition("/")[2]
        return path in {database.index, database.release, OS_RELEASE, database.copyright(folder)} or any(
            pattern.fullmatch(path) for pattern in (_METADATA, _DOCUMENT, _NODE, _WINDOWS)
        )


def read(image: ImageDescription, database: SystemDatabase) -> Contents:
    """Read what the files of an image say.

    Args:
        image: one that Nix built, which says what its layers are made of.
        database: of its system packages.

    Raises:
        ImageError: a layer cannot be read.
    """
    found = Contents(database)
    for layer in image.layers:
        outside = next((part for part in layer.parts if isinstance(part, ProjectFiles)), None)
        if outside:
            store = image.path.parent
            for one in entries(store / Path(outside.path).relative_to("/nix/store")):
                sha256 = "" if one.sha256 == UNKNOWN else one.sha256
                found.large[f"src/{one.path}"] = (sha256, layer.name)
            continue
        try:
            with LayerBytes(layer, image.path.parent).opened() as stream:
                _read_layer(found, layer.name, stream)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise UnreadableLayerError(layer.name, str(error)) from error
    return found


def _read_layer(found: Contents, layer: str, stream: BinaryIO) -> None:
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            path = str(PurePosixPath(member.name))
            if (hidden := hidden_by(path)) is not None:
                _take_away(found, hidden)
                continue
            if path.startswith("usr/share/doc/") and member.issym():
                found.links[path] = member.linkname
            if store := _NIX.match(path):
                found.store_paths.setdefault(store[1], layer)
            if _LIBRARY.fullmatch(path):
                found.libraries[path] = layer
            if found.matters(path):
                _take(found, layer, path, tar, member)
            _take_program(found, layer, path, tar, member)
            tar.members.clear()  # type: ignore[attr-defined] # they would be all of the image's


def _take(found: Contents, layer: str, path: str, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    if member.issym():
        found.texts.pop(path, None)
    elif member.islnk():
        if linked := found.texts.get(str(PurePosixPath(member.linkname))):
            found.texts[path] = Text(linked.data, layer)
    elif member.isreg() and member.size <= LARGEST:
        data = tar.extractfile(member)
        if data:
            found.texts[path] = Text(data.read(), layer)


def _take_program(
    found: Contents, layer: str, path: str, tar: tarfile.TarFile, member: tarfile.TarInfo
) -> None:
    """Note a Go program; whatever else has its path now takes its place."""
    found.programs.pop(path, None)
    if member.isreg() and member.mode & 0o111 and member.size >= golang.SMALLEST:
        data = tar.extractfile(member)
        if data and (modules := golang.modules(data)):
            found.programs[path] = (modules, layer)


def _take_away(found: Contents, path: str) -> None:
    for known in (found.texts, found.links, found.libraries, found.programs):
        for one in [one for one in known if one == path or one.startswith(f"{path}/")]:
            del known[one]
