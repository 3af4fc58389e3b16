"""Which files two results of a command differ in."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, BinaryIO

from cog_nix.system import state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Manifest = dict[str, str]
"""What a result has, by path: a digest over the file's attributes and bytes, and its size in the layer."""

_CHUNK = 1 << 20
_SHOWN = 20


def read(result: Path) -> Manifest:
    """Describe a result (the layout is that of ``nix/builders/archive.py``)."""
    found: Manifest = {}
    with (result / "files.tar").open("rb") as stream:
        for line in (result / "index.tsv").read_text(encoding="utf-8").splitlines():
            kind, *fields, path = line.split("\t")
            if kind == "d":
                found[f"{json.loads(path)}/"] = " ".join(fields)
                continue
            start, end = map(int, fields)
            stream.seek(start)
            found[json.loads(path)] = f"{_digest(stream, end - start)} {end - start}"
    return found


def _digest(stream: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    while size and (chunk := stream.read(min(size, _CHUNK))):
        digest.update(chunk)
        size -= len(chunk)
    return digest.hexdigest()


def remember(folder: Path, sri: str, manifest: Manifest) -> None:
    """Keep a description for as long as the project is worked on; the store may lose the result itself."""
    state.remember(_place(folder, sri), json.dumps(manifest, sort_keys=True))


def recall(folder: Path, sri: str) -> Manifest | None:
    """Return what :func:`remember` kept, or None."""
    try:
        found = json.loads(state.recall(_place(folder, sri)))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _place(folder: Path, sri: str) -> Path:
    return folder / f"{hashlib.sha256(sri.encode()).hexdigest()[:32]}.json"


def lines(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return a line for each path that differs, for people; the first of them when there are many."""
    differing = [path for path in sorted({*recorded, *now}) if recorded.get(path) != now.get(path)]
    shown = [f"{_verb(path, recorded, now):9}/{path}" for path in differing[:_SHOWN]]
    rest = len(differing) - _SHOWN
    return [*shown, f"and {rest} more"] if rest > 0 else shown


def _verb(path: str, recorded: Mapping[str, str], now: Mapping[str, str]) -> str:
    if path not in recorded:
        return "new"
    return "changed" if path in now else "missing"
