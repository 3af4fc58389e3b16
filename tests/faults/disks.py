"""File systems that are too small, one for each place that commands write to."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.world import World


@contextmanager
def small(folder: Path, kilobytes: int, *, keep: bool = True) -> Iterator[None]:
    """Put a file system of so many kilobytes at a folder, with what is in the folder; root can do that.

    Args:
        folder: where it is to be.
        kilobytes: its size.
        keep: whether what was there is in it.
    """
    aside = folder.with_name(f"{folder.name}-aside")
    folder.rename(aside)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", folder], check=True)
    try:
        if keep:
            subprocess.run(["cp", "--archive", f"{aside}/.", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()
        aside.rename(folder)


def fill(folder: Path, left: int = 0) -> None:
    """Fill the file system of a folder but for so many bytes."""
    with (folder / ".filler").open("wb", buffering=0) as sink:
        try:
            while True:
                sink.write(b"\0" * 4096)
        except OSError:
            size = sink.tell()
            sink.truncate(max(0, size - left))


def complaints(world: World, folder: Path, *command: str) -> list[str]:
    """Run a command that finds a file system full; return what is wrong with what it says."""
    finished = world.run(*command)
    problems = []
    if finished.returncode != 1:
        problems.append(f"status {finished.returncode}: {finished.stderr[-1500:]}")
    if "Traceback" in finished.stderr:
        problems.append(f"a traceback: {finished.stderr[-1500:]}")
    if not any(str(folder) in line for line in finished.stderr.splitlines()):
        problems.append(f"{folder} is not named: {finished.stderr[-1500:]}")
    if "space" not in finished.stderr.splitlines()[-1]:
        problems.append(f"nothing to do next: {finished.stderr[-1500:]}")
    return problems
