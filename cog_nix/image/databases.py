"""The files of any image that say which packages it has: dpkg's status, Python's metadata."""

from __future__ import annotations

from email.parser import BytesParser
from typing import TYPE_CHECKING

from cog_nix.config.requirements import normalised

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

STATUS = "var/lib/dpkg/status"
LARGEST = 16 << 20
"""Bytes of a file that is read: dpkg's database of 2000 packages has 3 MB, a list of 100 000 files 8 MB."""


def installed(status: bytes) -> Iterator[dict[str, str]]:
    """Yield the fields of each package that dpkg has as installed (deb822), name and version among them."""
    for paragraph in status.decode("utf-8", "replace").split("\n\n"):
        lines = (line for line in paragraph.splitlines() if ": " in line and line[0] not in " \t")
        fields = dict(line.split(": ", 1) for line in lines)
        if fields.get("Status", "").endswith(" installed") and {"Package", "Version"} <= fields.keys():
            yield fields


def distribution(metadata: bytes) -> tuple[str, str, Message] | None:
    """Return the normalised name, the version and all fields of a METADATA file (PyPA core metadata).

    None: it has no name.
    """
    message = BytesParser().parsebytes(metadata, headersonly=True)
    name = normalised(str(message.get("Name") or ""))
    return (name, str(message.get("Version") or ""), message) if name else None
