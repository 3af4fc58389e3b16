"""Paths as they are typed, and why they cannot be used, in the words of Go's ``os`` package."""

from __future__ import annotations

import os
from pathlib import Path


class FileProblem(Exception):  # noqa: N818 - becomes part of the message of an error
    """Why a file cannot be used."""


def expand_home(path: str) -> str:
    """Return a path with the home folder in place of a leading ``~``.

    Raises:
        FileProblem: it names the home folder of somebody else, or this user has none.
    """
    if not path.startswith("~"):
        return path
    if path[1:2] not in ("", "/"):
        raise FileProblem("cannot expand user-specific home dir")
    try:
        home = Path.home()
    except RuntimeError as error:
        raise FileProblem("this user has no home folder") from error
    return os.path.normpath(home / path[2:])


def read_file(path: str) -> bytes:
    """Return the content of a file.

    Raises:
        FileProblem: it cannot be read.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - Path takes an empty name for the current folder
            return file.read()
    except (OSError, ValueError) as error:
        raise FileProblem(why(error, path)) from error


def why(error: OSError | ValueError, path: str, action: str = "open") -> str:
    """Return what went wrong with a path, as ``open PATH: no such file or directory``."""
    if isinstance(error, IsADirectoryError) and action == "open":
        return f"read {path}: is a directory"
    if isinstance(error, OSError):
        return f"{action} {path}: {(error.strerror or str(error)).lower()}"
    # A NUL, or a character that the file system's encoding lacks.
    return f"{action} {path}: invalid argument"
