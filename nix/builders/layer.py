"""Tie several fragments into one layer.

Spec::

    {"name": "python", "fragments": [store path, …]}

Nothing but the merged directory entries is written: the layer is streamed from its fragments whenever it is
needed. A path that several fragments bring is taken from the last of them, as installing them one after the
other would have it, and the others' bytes are left out; files that differ are named in the build's log.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import archive
import inputs
from failure import BuildError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

SYMLINKS = "-symlinks"
"""What names of fragments end with that hold links to what is the same (:mod:`symlinks`)."""


def merge(fragments: list[Path], out: Path) -> list[archive.Part]:
    """Write the directories of all fragments to ``out``; return the parts of the layer."""
    directories: dict[str, archive.Entry] = {}
    owner: dict[str, Path] = {}
    indexes: dict[Path, list[tuple[int, int, str]]] = {}
    for fragment in fragments:
        own, indexes[fragment] = archive.read_index(fragment)
        for entry in own:
            directories.setdefault(entry.path, entry)
        for start, end, path in indexes[fragment]:
            if path in owner:
                warn_if_different(path, owner[path], indexes[owner[path]], fragment, (start, end))
            owner[path] = fragment
    refuse_folders_that_are_files(directories.keys() & owner.keys(), fragments, owner)
    ordered = sorted(directories.values(), key=lambda entry: entry.path.split("/"))
    archive.write_tar(out / "directories.tar", ordered)
    parts = [archive.whole(out / "directories.tar")]
    for fragment, offsets in indexes.items():
        parts += ranges(fragment / "files.tar", [(s, e) for s, e, path in offsets if owner[path] == fragment])
    return parts


def ranges(tar: Path, wanted: list[tuple[int, int]]) -> list[archive.Part]:
    """Return the parts for byte ranges, neighbours joined."""
    parts: list[archive.Part] = []
    for start, end in wanted:
        if parts and parts[-1]["offset"] + parts[-1]["size"] == start:
            parts[-1]["size"] += end - start
        else:
            parts.append({"path": str(tar), "offset": start, "size": end - start})
    return parts


def warn_if_different(
    path: str, first: Path, index: list[tuple[int, int, str]], second: Path, span: tuple[int, int]
) -> None:
    """Say so when two fragments bring different files under one path; a link to the same content is none."""
    start, end = next((s, e) for s, e, name in index if name == path)
    if title(second).endswith(SYMLINKS):
        return
    if content(first, start, end) != content(second, *span):
        note = f"/{path} comes from {title(first)} and {title(second)}; the latter is used"
        print(f"cog-nix-note: {note}")  # noqa: T201 - a builder's output is its log


def refuse_folders_that_are_files(
    paths: AbstractSet[str], fragments: list[Path], owner: dict[str, Path]
) -> None:
    """End the build when a path is a folder in one fragment and anything else in another."""
    for path in sorted(paths):
        folder = next(one for one in fragments if any(own.path == path for own in archive.read_index(one)[0]))
        raise BuildError(f"/{path} is a folder in {title(folder)} and something else in {title(owner[path])}")


def content(fragment: Path, start: int, end: int) -> bytes:
    """Return the bytes of an entry."""
    with (fragment / "files.tar").open("rb") as stream:
        stream.seek(start)
        return stream.read(end - start)


def title(fragment: Path) -> str:
    """Return a store path's name without its hash."""
    return fragment.name.partition("-")[2]


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    out = inputs.output()
    out.mkdir()
    parts = merge([Path(fragment) for fragment in spec["fragments"]], out)
    archive.write_description(out, spec["name"], archive.describe(parts))
