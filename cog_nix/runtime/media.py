"""Data URLs (RFC 2397) and the names that media types have as file extensions.

The tables are our own on top of :mod:`mimetypes`, because the standard library's differ between Python
versions and with what the machine's ``/etc/mime.types`` says.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from pathlib import PurePath
from urllib.parse import unquote_to_bytes

DEFAULT_TYPE = "application/octet-stream"
DEFAULT_OF_URLS = "text/plain"
"""RFC 2397, section 2."""
_BROKEN_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")

_PREFERRED = {
    "application/gzip": ".gz",
    "application/jsonl": ".jsonl",
    "application/ld+json": ".jsonld",
    "application/ogg": ".ogx",
    "application/vnd.amazon.ebook": ".azw",
    "application/vnd.apple.installer+xml": ".mpkg",
    "application/vnd.ms-fontobject": ".eot",
    "application/vnd.visio": ".vsd",
    "application/x-abiword": ".abw",
    "application/x-bzip": ".bz",
    "application/x-cdf": ".cda",
    "application/x-freearc": ".arc",
    "application/x-httpd-php": ".php",
    "application/rtf": ".rtf",
    "application/x-7z-compressed": ".7z",
    "application/x-bzip2": ".bz2",
    "application/x-ndjson": ".ndjson",
    "application/xhtml+xml": ".xhtml",
    "application/xml": ".xml",
    "application/epub+zip": ".epub",
    "application/java-archive": ".jar",
    "application/vnd.rar": ".rar",
    "application/vnd.oasis.opendocument.presentation": ".odp",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "audio/aac": ".aac",
    "audio/ogg": ".oga",
    "audio/opus": ".opus",
    "audio/wav": ".wav",
    "audio/webm": ".weba",
    "font/otf": ".otf",
    "font/ttf": ".ttf",
    "font/woff": ".woff",
    "font/woff2": ".woff2",
    "image/webp": ".webp",
    "image/x-ms-bmp": ".bmp",
    "model/gltf-binary": ".glb",
    "model/mtl": ".mtl",
    "model/obj": ".obj",
    "text/calendar": ".ics",
    "text/javascript": ".js",
    "text/markdown": ".md",
    "video/3gpp": ".3gp",
    "video/3gpp2": ".3gp2",
    "video/mp2t": ".ts",
    "video/ogg": ".ogv",
}
_TYPE_OF = {
    **{extension: media_type for media_type, extension in _PREFERRED.items()},
    ".bmp": "image/bmp",
}


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
