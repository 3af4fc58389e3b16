"""Data URLs (RFC 2397) and the names that media types have as file extensions.

The tables are our own on top of :mod:`mimetypes`, because the standard library's differ between Python
versions and with what the machine's ``/etc/mime.types`` says. They are cog's, and what cog finds on a machine
with freedesktop.org's types. A server names the files that it gets by their type, so ``a.flac`` stays one.
"""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
import re
from pathlib import Path, PurePath
from urllib.parse import unquote_to_bytes

DEFAULT_TYPE = "application/octet-stream"
DEFAULT_OF_URLS = "text/plain"
"""RFC 2397, section 2."""
_BROKEN_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")

_TABLES: dict[str, dict[str, str]] = json.loads(Path(__file__).with_suffix(".json").read_bytes())
_PREFERRED = _TABLES["extensions"]
"""Extensions by media type."""
_TYPE_OF = {extension: media_type for media_type, extension in _PREFERRED.items()} | _TABLES["types"]


def type_of(path: str) -> str:
    """Return the media type of a file by its extension; unknown ones are ``application/octet-stream``."""
    extension = PurePath(path).suffix.lower()
    found = _TYPE_OF.get(extension) or _builtin().types_map[True].get(extension)
    return found or _builtin().types_map[False].get(extension) or DEFAULT_TYPE


def extension_of(media_type: str) -> str:
    """Return the extension, with its dot, that files of this type usually have, or an empty string."""
    bare = media_type.partition(";")[0].strip().lower()
    return _PREFERRED.get(bare) or _builtin().guess_extension(bare) or ""


def encode_data_url(content: bytes, media_type: str) -> str:
    """Return the ``data:`` URL of some bytes."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def decode_data_url(url: str) -> tuple[bytes, str]:
    """Return content and media type of a ``data:`` URL.

    What has no such head is taken for base64 after its first comma, as upstream does.

    Raises:
        ValueError: it is not one.
    """
    head, comma, body = url.partition(",")
    if not comma:
        raise ValueError("Failed to split data URL into 2 parts")
    scheme, _, rest = head.partition(":")
    parameters = rest.split(";")
    is_type = parameters[0].count("/") == 1
    # A model that does not know the type of its file writes Python's None (seen in Cog's own encoder).
    if scheme.lower() != "data" or not (is_type or parameters[0] in ("", "None")):
        return _decode_base64(body), DEFAULT_OF_URLS
    media_type = parameters[0] if is_type else DEFAULT_OF_URLS
    if "base64" in [one.strip().lower() for one in parameters[1:]]:
        return _decode_base64(body), media_type
    if _BROKEN_PERCENT.search(body):
        raise ValueError("Failed to decode data URL: a % without two hexadecimal digits")
    return unquote_to_bytes(body), media_type


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(unquote_to_bytes(text).translate(None, b"\r\n"), validate=True)
    except binascii.Error as error:
        raise ValueError(f"Failed to decode data URL: {error}") from error


def _builtin() -> mimetypes.MimeTypes:
    global _BUILTIN  # noqa: PLW0603 - building it costs a millisecond, and most runs touch no file
    if _BUILTIN is None:
        _BUILTIN = mimetypes.MimeTypes(filenames=())
    return _BUILTIN


_BUILTIN: mimetypes.MimeTypes | None = None
