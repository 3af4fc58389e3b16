"""Finds a program in an image's layers, before an engine fails at it in words of its own."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LINKS = 40
"""So many symbolic links the kernel follows (path_resolution(7))."""


def has_program(
    name: str, env: Mapping[str, str], cwd: str, layers: Sequence[Path], mounts: Sequence[tuple[Path, str]]
) -> bool:
    """Whether a container has a program, as execvp(3) looks; True as well where only it can tell."""
    folders = [""] if "/" in name else env.get("PATH", "").split(":")
    return any(_exists(os.path.normpath(Path(cwd, folder, name)), layers, mounts) for folder in folders)


def _exists(path: str, layers: Sequence[Path], mounts: Sequence[tuple[Path, str]]) -> bool:
    """Whether there is a file of this absolute path, links followed over all layers."""
    todo = list(PurePosixPath(path).parts[1:])
    done = PurePosixPath("/")
    links = 0
    while todo:
        part = todo.pop(0)
        done = done.parent if part == ".." else done / part
        if any(done.is_relative_to(target) for _, target in mounts):
            return True  # the host's own files; what they are may depend on who asks
        found = _topmost(str(done), layers)
        if found is None:
            if any(PurePosixPath(target).is_relative_to(done) for _, target in mounts):
                continue  # the engine makes the folders that lead to a mount
            return False
        if found.is_symlink():
            links += 1
            if links > _LINKS:
                return False
            target = PurePosixPath(found.readlink())
            done = PurePosixPath("/") if target.is_absolute() else done.parent
            todo = [*(one for one in target.parts if one != "/"), *todo]
    return True


def _topmost(path: str, layers: Sequence[Path]) -> Path | None:
    for layer in reversed(layers):
        here = Path(f"{layer}{path}")
        try:
            status = here.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            return here
        return None if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0 else here
    return None
