"""A built image: the executable that Nix makes, and the description that it carries.

The executable is a shell script with the description behind a mark (nix/builders/image.py writes it,
nix/builders/stream.py reads it when the image is streamed).
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cog_nix.errors import ImageError
from cog_nix.system import jsonvalue
from cog_nix.system.jsonvalue import list_of, mapping_of, size_of, text_of

if TYPE_CHECKING:
    from pathlib import Path

_MARK = b"\n__IMAGE__\n"
_SCRIPT = 1 << 12
"""Bytes that stand before the mark, at most."""
_LARGEST = 8 << 20
"""Bytes of an executable: one of 1000 packages has 0.3 MB."""
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]{1,255}")
"""The grammar of image-spec, descriptor.md, "Digests", and a file name's length."""
_PREFIX = "cog-"
_NAME_LENGTH = 30 - len(_PREFIX)


class UnreadableImageError(ImageError):
    """A built image does not do what it is asked.

    Args:
        program: its executable.
        said: what came instead.
    """

    def __init__(self, program: Path, said: str) -> None:
        super().__init__(hint="Build it again.")
        self.program, self.said = program, said.strip()

    def __str__(self) -> str:
        return f"The built image {self.program} cannot be read: {self.said or 'it failed and said nothing'}"


@dataclass(frozen=True)
class Part:
    """A range of bytes of a file in the store."""

    path: str
    """``/nix/store/HASH-NAME/FILE``, wherever the store really is."""
    offset: int
    size: int


@dataclass(frozen=True)
class ProjectFiles:
    """Files of the project, with their headers: what the store has of them is their list.

    :mod:`cog_nix.image.project_files` reads it.
    """

    path: str
    """``/nix/store/HASH-NAME``, a folder."""
    size: int


@dataclass(frozen=True)
class LayerDescription:
    """One layer, uncompressed."""

    name: str
    diff_id: str
    """``sha256:…`` (OCI image-spec, "Layer DiffID")."""
    size: int
    """Bytes of its tar."""
    parts: tuple[Part | ProjectFiles, ...] = ()
    """What, one after the other and ended as a tar is, makes its tar; none: only the executable knows."""

    @property
    def is_outside(self) -> bool:
        """Whether its files are the project's, and not in the store."""
        return any(isinstance(part, ProjectFiles) for part in self.parts)

    @property
    def fragments(self) -> tuple[str, ...]:
        """Names of the store paths that its files lie in."""
        # /nix/store/HASH-NAME/files.tar; a layer of several fragments has directories of its own
        paths = [part.path.rsplit("/", 2) for part in self.parts if isinstance(part, Part)]
        return tuple(dict.fromkeys(name for _, name, file in paths if file == "files.tar"))


@dataclass(frozen=True)
class ImageDescription:
    """What an image is."""

    path: Path
    """The executable that writes it."""
    id: str
    """``sha256:…`` of the configuration (OCI image-spec, "ImageID")."""
    layers: tuple[LayerDescription, ...]
    """From bottom to top."""
    config: dict[str, Any]
    """The OCI image configuration."""
    tag: str = ""
    """The reference that it was built under."""
    text: bytes = b""
    """The configuration's bytes, where the executable carries them."""

    @property
    def size(self) -> int:
        """Bytes of all layers together, uncompressed."""
        return sum(self.sizes)

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """Those of its layers, from bottom to top."""
        return tuple(layer.diff_id for layer in self.layers)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes of each layer's tar, from bottom to top."""
        return tuple(layer.size for layer in self.layers)

    @classmethod
    def ask(cls, program: Path) -> ImageDescription:
        """Read the description, or have the executable print it: what stands for an archive carries none.

        Args:
            program: what Nix built, or any other executable that takes ``--inspect``; asking it costs a tenth
                of a second.

        Raises:
            ImageError: it cannot say what it is.
        """
        from cog_nix.system.processes import ProcessError, run  # noqa: PLC0415 - rarely needed

        with suppress(ImageError):
            return cls.read(program)
        try:
            said = jsonvalue.loads(run([program, "--inspect"]).stdout)
            pairs = zip(list_of(said["diff_ids"]), list_of(said["sizes"]), strict=True)
            layers = tuple(LayerDescription("", text_of(diff_id), size_of(size)) for diff_id, size in pairs)
            return cls(program, text_of(said["id"]), layers, mapping_of(said["config"]))
        except (ProcessError, ValueError, KeyError, TypeError) as error:
            raise UnreadableImageError(program, str(error)) from error

    @classmethod
    def read(cls, path: Path) -> ImageDescription:
        """Read the description that an image's executable carries.

        Raises:
            ImageError: the file is no such executable.
        """
        try:
            data = jsonvalue.loads(_description(path))
            layers = tuple(map(_layer, list_of(data["layers"])))
            text = text_of(data["config"]).encode()
            digest = hashlib.sha256(text).hexdigest()
            config = mapping_of(jsonvalue.loads(text))
            return cls(path, f"sha256:{digest}", layers, config, text_of(data["tag"]), text)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ImageError(f"{path} is not an image that cog-nix built.", hint="Build it again.") from error


def _description(path: Path) -> bytes:
    """Return what stands behind the mark; nothing large is read for it, nor what could make us wait."""
    if not path.is_file() or path.stat().st_size > _LARGEST:
        raise ValueError("no such executable")
    with path.open("rb") as stream:
        start = stream.read(_SCRIPT)
        return start.partition(_MARK)[2] + stream.read() if _MARK in start else b""


def store_of(path: Path) -> Path | None:
    """Return the Nix store that a path is directly in, None for other places.

    A store is a folder ``nix/store`` with the database of its paths beside it (Nix manual, "Local Store");
    what is in it belongs to root or to this user, and is read-only.

    Args:
        path: without links.
    """
    store = path.parent
    try:
        place, status = store.lstat(), path.lstat()
        known = (store.parent / "var/nix/db").is_dir()
    except OSError:
        return None
    owners = {0, os.geteuid()}
    ours = place.st_uid in owners and status.st_uid in owners and not status.st_mode & 0o222
    return store if known and ours and store.parts[-2:] == ("nix", "store") and _is_named(path.name) else None


def _is_named(name: str) -> bool:
    """Whether a file is named as store paths are (Nix manual, "Store Path")."""
    return bool(re.fullmatch(r"[0-9a-z]{32}-[0-9A-Za-z+._?=-]+", name))


def _layer(data: dict[str, Any]) -> LayerDescription:
    parts = tuple(_part(part) for part in list_of(data["parts"]))
    if any(not one.path.startswith("/nix/store/") or ".." in one.path.split("/") for one in parts):
        raise ValueError("a layer lies outside of the store")
    return LayerDescription(text_of(data["name"]), text_of(data["diff_id"]), size_of(data["size"]), parts)


def _part(data: dict[str, Any]) -> Part | ProjectFiles:
    if "files" in data:
        return ProjectFiles(text_of(data["files"]), size_of(data["size"]))
    return Part(text_of(data["path"]), size_of(data["offset"]), size_of(data["size"]))


def default_tag(folder: str) -> str:
    """Return an unnamed image's name: ``cog-<folder>``, as upstream (pkg/config/image_name.go)."""
    name = re.sub(r"[^a-z0-9-]+", "", folder.lower().replace(" ", "-"))[:_NAME_LENGTH]
    return name if name.startswith(_PREFIX) else f"{_PREFIX}{name}"


def name_in_store(tag: str) -> str:
    """Return an image's name in the store: the last part of its reference, without the tag."""
    return tag.partition("@")[0].rpartition("/")[2].partition(":")[0] or "image"


def blob_file(digest: str) -> str:
    """Return where a blob is in an image layout (image-spec, image-layout.md, "Blobs").

    Raises:
        ValueError: it is no digest, and might lead anywhere.
    """
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a digest")
    return f"blobs/{digest.replace(':', '/')}"


def with_tag(reference: str) -> str:
    """Return a reference with its tag, ``latest`` where it has none."""
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
