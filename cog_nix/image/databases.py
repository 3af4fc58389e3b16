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
WHITEOUT = ".wh."
"""What the name of a file begins with that hides another (image-spec, layer.md, "Whiteouts")."""
OPAQUE = ".wh..wh..opq"
"""What hides all that was in its folder."""


def hidden_by(path: str) -> str | None:
    """Return the file or folder of lower layers that a mark takes away; None: the path is no mark."""
    folder, _, name = path.rpartition("/")
    if not name.startswith(WHITEOUT):
        return None
    return folder if name == OPAQUE else f"{folder}/{name.removeprefix(WHITEOUT)}".lstrip("/")


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
