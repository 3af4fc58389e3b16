"""Make a layer of single files, the large ones of which stay where they are in the store.

Spec::

    {"files": [{"path": store path, "to": "/opt/unet.pth"}, …]}

The output is a folder with ``fragment.json``, as every layer has it, ``directories.tar``, and ``files.tar``:
all of the layer's other bytes but the contents of large files.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archive
import folder
import inputs

if TYPE_CHECKING:
    from collections.abc import Iterable

_LEAST = 1 << 20
"""Bytes from which on a file is not copied; each that is not makes the image's description longer."""


def write(out: Path, entries: Iterable[archive.Entry]) -> None:
    """Write the output.

    Args:
        out: a folder.
        entries: folders, and files that are in the store.
    """
    ordered = sorted({entry.path: entry for entry in entries}.values(), key=lambda one: one.path.split("/"))
    archive.write_tar(out / "directories.tar", [one for one in ordered if one.source is None])
    parts = [archive.whole(out / "directories.tar")]
    with (out / "files.tar").open("wb") as tar:
        for entry in ordered:
            if entry.source is not None:
                parts += _parts(entry, entry.source, tar)
    archive.write_description(out, "weights", archive.describe(_joined(parts)))


def _parts(entry: archive.Entry, source: Path, tar: Any) -> list[archive.Part]:
    """Write a file's own part of the tar; return what it consists of."""
    info = tarfile.TarInfo(entry.path)
    info.mode, info.mtime, info.size = entry.mode, archive.MTIME, source.stat().st_size
    begin = tar.tell()
    tar.write(info.tobuf(tarfile.PAX_FORMAT))
    held = info.size < _LEAST
    if held:
        with source.open("rb") as stream:
            shutil.copyfileobj(stream, tar)
    middle = tar.tell()
    tar.write(bytes(-info.size % tarfile.BLOCKSIZE))
    first, last = _range(tar, begin, middle), _range(tar, middle, tar.tell())
    return [first, last] if held else [first, archive.whole(source), last]


def _range(tar: Any, begin: int, end: int) -> archive.Part:
    return {"path": tar.name, "offset": begin, "size": end - begin}


def _joined(parts: Iterable[archive.Part]) -> list[archive.Part]:
    """Return parts with neighbours joined."""
    found: list[archive.Part] = []
    for part in parts:
        last = found[-1] if found else None
        if last and last["path"] == part["path"] and last["offset"] + last["size"] == part["offset"]:
            last["size"] += part["size"]
        else:
            found.append(part)
    return found


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    out = inputs.output()
    out.mkdir()
    files = [(Path(file["path"]), file["to"]) for file in spec["files"]]
    write(out, (entry for path, target in files for entry in folder.entries(path, target)))
