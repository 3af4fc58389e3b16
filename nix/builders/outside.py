"""Files of a project that an image has and the store has not: found, and checked while they are read.

A folder in the store lists them (``cog_nix/image/project_files.py`` says how).
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stream import Part

_BLOCK = 512
_ZEROS = "/dev/zero"
_UNKNOWN = "-"


class Checked:
    """A layer's tar that is hashed while it is read.

    Args:
        stream: the tar.
        diff_id: what it has to be.
    """

    def __init__(self, stream: IO[bytes], diff_id: str) -> None:
        self._stream, self._wanted, self._digest = stream, diff_id, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read some bytes."""
        data = self._stream.read(size)
        self._digest.update(data)
        return data

    def check(self) -> None:
        """Compare what was read.

        Raises:
            EOFError: it was something else.
        """
        if f"sha256:{self._digest.hexdigest()}" != self._wanted:
            raise EOFError("files of the project have changed since it was built. Build it again.")


def ranges(diff_id: str, folder: Path, roots: Sequence[Path]) -> list[Part]:
    """Return the ranges of files that make up a layer's files, each behind its header and padded.

    Args:
        diff_id: the layer's.
        folder: that lists them.
        roots: folders in which they may be.

    Raises:
        EOFError: some are nowhere.
    """
    tried = list(dict.fromkeys([*map(str, roots), *_remembered(diff_id)]))
    found: list[Part] = []
    begin = 0
    for line in (folder / "files.tsv").read_text().splitlines():
        end, size, sha256, name = line.split("\t")
        path, length = json.loads(name), int(size)
        where = next(_places(path, length, sha256, tried), None)
        if where is None and path.startswith("/"):
            raise EOFError(
                f"it has {path} ({length} bytes) of managed weights, which is not in {_weights()}."
                " `cog-nix weights pull` fetches it."
            )
        if where is None:
            raise EOFError(
                f"it has the project's {path} ({length} bytes), which is not in {', '.join(tried)}."
                " Start ./result in the project, with that file in its place; or build the image again."
            )
        found.append({"path": str(folder / "headers.tar"), "offset": begin, "size": int(end) - begin})
        begin = int(end)
        found.append({"path": where, "offset": 0, "size": length})
        if padding := -length % _BLOCK:
            found.append({"path": _ZEROS, "offset": 0, "size": padding})
    return found


def _places(path: str, size: int, sha256: str, roots: Sequence[str]) -> Iterator[str]:
    candidates = [] if path.startswith("/") else [f"{root}/{path}" for root in roots]
    if sha256 != _UNKNOWN:
        candidates.append(f"{_weights()}/files/sha256/{sha256[:2]}/{sha256}")
    for one in candidates:
        with suppress(OSError):
            if Path(one).stat().st_size == size:
                yield one


def _remembered(diff_id: str) -> list[str]:
    """Return where the project was when it was built on this machine."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = Path(_cache(), "file-layers/by-digest", diff_id.removeprefix("sha256:"), "found.json")
        return [str(json.loads(known.read_text())["root"])]
    return []


def _cache() -> str:
    return os.environ.get("COG_NIX_CACHE_DIR") or f"{_caches()}/cog-nix"


def _weights() -> str:
    named = os.environ.get("COG_CACHE_DIR")
    return f"{named}/weights" if named else f"{_caches()}/cog/weights"


def _caches() -> str:
    return os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
