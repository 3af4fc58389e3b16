"""Licences as packages declare them, in SPDX's words where they have one.

Debian's copyright files (``copyright-format`` 1.0) and the metadata of Python packages (core metadata 2.4)
are read. What is no SPDX expression stays as it was written; nothing is guessed from a licence's text.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from cog_nix.bom.model import Licence

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message

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
_PYTHON = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "mit license": "MIT",
    "the mit license": "MIT",
    "isc license": "ISC",
    "mpl 2.0": "MPL-2.0",
    "psf": "PSF-2.0",
}
_CLASSIFIERS = {
    "Apache Software License": "",
    "BSD License": "",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
}
"""Classifiers of the index that stand for one licence; the first two stand for several."""
_OR, _AND = re.compile(r"\s+or\s+"), re.compile(r",?\s+and\s+")
_LONGEST = 200
"""A field that is longer is the licence's text."""


def of_copyright(text: str) -> Licence:
    """Return what a copyright file of Debian's declares.

    Of one that is written for people alone, the licences count that it refers to.
    """
    found = (_FIELD if _FORMAT.search(text) else _COMMON).findall(text)
    parts = (part for one in found for part in ([one] if _OR.search(one) else _AND.split(one)))
    return all_of(filter(None, map(_debian, dict.fromkeys(parts))))


def of_metadata(message: Message) -> Licence:
    """Return what a Python package's metadata declares (core metadata 2.4)."""
    if expression := message.get("License-Expression"):
        return _licence(str(expression))
    classified = [
        str(one).rpartition(" :: ")[2]
        for one in message.get_all("Classifier", [])
        if str(one).startswith("License :: ") and not str(one).endswith(":: OSI Approved")
    ]
    said = str(message.get("License") or "").strip()
    if said and len(said) <= _LONGEST and "\n" not in said:
        found = _licence(_PYTHON.get(said.lower(), said))
        if found.expression or not classified:
            return found
    known = [_CLASSIFIERS.get(one) or one for one in classified]
    return all_of(known)


def of_text(text: str) -> Licence:
    """Return a licence that somebody wrote down in a few words."""
    return _licence(text.strip()) if text.strip() else Licence()


@cache
def _valid(expression: str) -> str:
    """Return an SPDX expression in its canonical form; "": it is none."""
    try:
        return str(canonicalize_license_expression(expression))
    except InvalidLicenseExpression:
        return ""


def _licence(text: str) -> Licence:
    expression = _valid(text)
    return Licence(expression) if expression else Licence(names=(text,))


def all_of(found: Iterable[str]) -> Licence:
    """Return the licence of what is under all of some."""
    expressions, names = set(), set()
    for one in found:
        expression = _valid(one)
        if not expression:
            names.add(one)
        elif " OR " in expression:
            expressions.add(expression)
        else:
            expressions |= set(expression.replace("(", "").replace(")", "").split(" AND "))
    parts = sorted(expressions)
    if len(parts) > 1:
        parts = [f"({one})" if " OR " in one else one for one in parts]
    return Licence(" AND ".join(parts), tuple(sorted(names)))


def _debian(text: str) -> str:
    """Return a licence of a copyright file as SPDX writes it, as far as there is such a form."""
    text = text.rstrip(",;").strip()
    words = re.split(r"\s+(or|and)\s+", text.replace(",", " "))
    if len(words) > 1:
        parts = [word.upper() if word in {"or", "and"} else _debian(word) for word in words]
        joined = " ".join(part.strip() for part in parts)
        return joined if _valid(joined) else text
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
