"""Licences as Debian's copyright files declare them (``copyright-format`` 1.0), in SPDX's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_FORMAT = re.compile(
    r"^Format(?:-Specification)?:.*copyright-format|^Format:.*dep5", re.IGNORECASE | re.MULTILINE
)
_FIELD = re.compile(r"^License:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z0-9][A-Za-z0-9.+-]*[A-Za-z0-9+])")
_GNU = re.compile(
    r"(?P<family>[AL]?GPL|GFDL)(?:-?v?(?P<version>\d(?:\.\d+)?))?(?P<more>\+|-or-later)?", re.IGNORECASE
)
_SHORT = {
    "expat": "MIT",
    "mit/x11": "MIT",
    "x11": "X11",
    "zlib": "Zlib",
    "zlib/libpng": "Zlib",
    "apache-2": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "artistic-1": "Artistic-1.0-Perl",
    "bsd-2-clauses": "BSD-2-Clause",
    "bsd-3-clauses": "BSD-3-Clause",
    "bsd": "BSD-3-Clause",
    "psf-2": "PSF-2.0",
    "isc": "ISC",
    "mpl-1.1": "MPL-1.1",
    "mpl-2": "MPL-2.0",
    "openssl": "OpenSSL",
    "boost-1.0": "BSL-1.0",
}
"""Short names of Debian's that SPDX has others for (copyright-format 1.0, "License short names");
``/usr/share/common-licenses/BSD`` is the one with three clauses."""
_OR, _AND = re.compile(r"\s+or\s+"), re.compile(r",?\s+and\s+")


def licences(text: str) -> list[str]:
    """Return what a copyright file declares; the package is under all of it.

    Of one that is written for people alone, the licences count that it refers to.
    """
    from cog_nix.bom.licences import valid  # noqa: PLC0415 - resolving goes without

    found = (_FIELD if _FORMAT.search(text) else _COMMON).findall(text)
    parts = (part for one in found for part in ([one] if _OR.search(one) else _AND.split(one)))
    return [one for part in dict.fromkeys(parts) if (one := _named(part, valid))]


def _named(text: str, valid: Callable[[str], str]) -> str:
    """Return a licence of a copyright file as SPDX writes it, as far as there is such a form."""
    text = text.rstrip(",;").strip()
    words = re.split(r"\s+(or|and)\s+", text.replace(",", " "))
    if len(words) > 1:
        parts = [word.upper() if word in {"or", "and"} else _named(word, valid) for word in words]
        joined = " ".join(part.strip() for part in parts)
        return joined if valid(joined) else text
    lowered = text.lower()
    if lowered in _SHORT:
        return _SHORT[lowered]
    if found := _GNU.fullmatch(text):
        version = found["version"] or ""
        if not version:
            return text
        full = version if "." in version else f"{version}.0"
        full = "1.1" if found["family"].upper() == "GFDL" and version == "1" else full
        return f"{found['family'].upper()}-{full}-{'or-later' if found['more'] else 'only'}"
    return text
