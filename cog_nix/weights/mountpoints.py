"""Leaves nothing in a project of what runtimes put there to mount weights on.

``serve``, ``exec`` and ``train`` mount the project over ``/src``, and weights in it. Docker and others make
an empty folder or file where something is to be mounted: in the project, whose next image would have it.

What was not there before stands in a file in ``.cog``, which everyone who runs such a container has locked
(flock(2)). Whoever is the last removes it, or the first to come after one that was killed. Removing it
earlier would unmount it in the other containers, as rmdir(2) and unlink(2) do in other namespaces.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME = "mountpoints"
_SOURCE = "/src"


@contextmanager
def tidied(root: Path, state: Path, targets: Iterable[str]) -> Iterator[None]:
    """Remove afterwards what was made in a project to mount things on.

    Args:
        root: the project.
        state: its ``.cog``.
        targets: absolute paths in the container where something is mounted.
    """
    inside = [
        path.relative_to(_SOURCE) for path in map(PurePosixPath, targets) if path.is_relative_to(_SOURCE)
    ]
    if not inside:
        yield
        return
    state.mkdir(parents=True, exist_ok=True)
    with (state / NAME).open("a+", encoding="utf-8") as noted:
        _remove_if_alone(root, noted)
        fcntl.flock(noted, fcntl.LOCK_SH)
        above = {str(one) for path in inside for one in (path, *path.parents)} - {"."}
        noted.write("".join(f"{path}\n" for path in above if not Path(root, path).exists()))
        noted.flush()
        try:
            yield
        finally:
            _remove_if_alone(root, noted)


def _remove_if_alone(root: Path, noted: TextIO) -> None:
    try:
        fcntl.flock(noted, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # the last one does it
    noted.seek(0)
    for path in sorted(set(noted.read().splitlines()), reverse=True):
        place = Path(root, path)
        with suppress(OSError):
            if place.is_dir():
                place.rmdir()
            elif not place.stat().st_size:
                place.unlink()
    noted.truncate(0)
