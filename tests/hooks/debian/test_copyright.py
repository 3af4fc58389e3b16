"""What copyright files declare."""

from __future__ import annotations

import pytest

from cog_nix.bom.licences import all_of
from cog_nix.bom.model import Licence
from cog_nix_hooks.debian.copyright import licences

_HEAD = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"


def of_copyright(text: str) -> Licence:
    return all_of(licences(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("License: GPL-2+\n", Licence("GPL-2.0-or-later")),
        ("License: Expat\n some text\n", Licence("MIT")),
        ("License: LGPL-2.1\n\nLicense: LGPL-2.1\n", Licence("LGPL-2.1-only")),
        ("License: GPL-2+ or Artistic\n", Licence("GPL-2.0-or-later OR Artistic-1.0-Perl")),
        (
            "License: MPL-1.1 or GPL-2\n\nLicense: Zlib\n",
            Licence("(MPL-1.1 OR GPL-2.0-only) AND Zlib"),
        ),
        ("License: ISC and BSD-3-clause\n", Licence("BSD-3-Clause AND ISC")),
        ("License: public-domain\n\nLicense: Zlib\n", Licence("Zlib", ("public-domain",))),
    ],
)
def test_copyright_files_that_programs_can_read(text: str, expected: Licence) -> None:
    assert of_copyright(f"{_HEAD}\n{text}") == expected


def test_a_copyright_file_for_people_counts_by_what_it_refers_to() -> None:
    text = "See /usr/share/common-licenses/GPL-3 and `/usr/share/common-licenses/LGPL-2.1'.\nLicense: none\n"
    assert of_copyright(text) == Licence("GPL-3.0-only AND LGPL-2.1-only")


def test_a_copyright_file_that_says_nothing() -> None:
    assert not of_copyright("Somebody wrote this.")
