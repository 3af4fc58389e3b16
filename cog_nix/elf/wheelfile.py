"""Wheels that somebody else packed (PyPA binary distribution format), and what may be wrong with one."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from isal import isal_zlib

from cog_nix.errors import LockError

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator
    from pathlib import Path

INFLATING: type[Exception] = isal_zlib.error  # type: ignore[assignment] # its stub says: an instance
UNREADABLE: tuple[type[Exception], ...] = (
    *(zipfile.BadZipFile, INFLATING, zlib.error, lzma.LZMAError, EOFError, OSError),
    *(struct.error, ValueError, OverflowError),  # damaged extra fields, offsets before the file, names
    RuntimeError,  # encrypted, or compressed in a way that Python does not know
)
"""What reading a damaged or hostile zip archive raises."""
_LARGEST = 1 << 26
"""Bytes of a RECORD or METADATA; the largest that are known have a few million."""


@contextmanager
def read_or_refused(path: Path | str) -> Iterator[None]:
    """Turn what reading a wheel raises into one message.

    Args:
        path: what to call it.

    Raises:
        LockError: the file is no zip archive, or is damaged.
    """
    try:
        yield
    except UNREADABLE as error:
        raise LockError(
            f"{path}: this wheel cannot be read: {error}",
            hint="Name another version of the package, or report it to its authors.",
        ) from error


def text_of(archive: zipfile.ZipFile, name: re.Pattern[str]) -> str:
    """Return the first member whose name matches; "" where there is none.

    Raises:
        zipfile.BadZipFile: it is larger than any such file.
    """
    info = next((one for one in archive.infolist() if name.match(one.filename)), None)
    if info is None:
        return ""
    if info.file_size > _LARGEST:
        raise zipfile.BadZipFile(f"its {info.filename} has {info.file_size} bytes")
    return archive.read(info).decode("utf-8", "replace")
