"""The files of any image that say which packages it has."""

from __future__ import annotations

from email.parser import BytesParser
from typing import TYPE_CHECKING

from cog_nix.config.requirements import normalised

if TYPE_CHECKING:
    from email.message import Message

LARGEST = 16 << 20
"""Bytes of a file that is read: a database of 2000 system packages has 3 MB, a list of 100 000 files 8 MB."""


def distribution(metadata: bytes) -> tuple[str, str, Message] | None:
    """Return the normalised name, the version and all fields of a METADATA file (PyPA core metadata).

    None: it has no name.
    """
    message = BytesParser().parsebytes(metadata, headersonly=True)
    name = normalised(str(message.get("Name") or ""))
    return (name, str(message.get("Version") or ""), message) if name else None
