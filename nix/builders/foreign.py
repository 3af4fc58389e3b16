"""Files that somebody else packed: wheels, Debian packages, source archives.

What is wrong with one is :class:`ForeignFileError`, whatever the library that reads it raises: one message
that names the file.
"""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from failure import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator

DAMAGED: tuple[type[Exception], ...] = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(OSError, ValueError, KeyError, TypeError, OverflowError),
    *(
        RuntimeError,
        AssertionError,
    ),  # zipfile: encrypted, unknown compression; installer: RECORD is not right
)
"""What reading a damaged or hostile archive raises."""


class ForeignFileError(BuildError):
    """A file is not what it should be; the text names it."""


@contextmanager
def reading(name: str, what: str = "file", *also: type[Exception]) -> Iterator[None]:
    """Turn what reading a file raises into one error.

    Args:
        name: of the file, as the lock has it.
        what: it should be, ``wheel``.
        also: what else the library raises that reads it.

    Raises:
        ForeignFileError: it cannot be read.
    """
    caught: tuple[type[Exception], ...] = (*DAMAGED, *also)
    try:
        yield
    except caught as error:
        said = (str(error) or type(error).__name__).partition("\n")[0].rstrip(": ")
        raise ForeignFileError(f"{name}: this {what} cannot be read: {said}") from error


def checked(name: str) -> str:
    """Return the name of an archive's member.

    Raises:
        ValueError: it leads out of the folder that the archive is unpacked in, or is none.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError(f"{name!r} leads out of it")
    return name
