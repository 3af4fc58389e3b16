"""Licences as packages declare them, in SPDX's words where they have one.

The metadata of Python packages (core metadata 2.4) is read; what system packages declare is a plugin's
knowledge. What is no SPDX expression stays as it was written; nothing is guessed from a licence's text.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from cog_nix.bom.model import Licence

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message

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
_LONGEST = 200
"""A field that is longer is the licence's text."""


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
def valid(expression: str) -> str:
    """Return an SPDX expression in its canonical form; "": it is none."""
    try:
        return str(canonicalize_license_expression(expression))
    except InvalidLicenseExpression:
        return ""


def _licence(text: str) -> Licence:
    expression = valid(text)
    return Licence(expression) if expression else Licence(names=(text,))


def all_of(found: Iterable[str]) -> Licence:
    """Return the licence of what is under all of some."""
    expressions, names = set(), set()
    for one in found:
        expression = valid(one)
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
