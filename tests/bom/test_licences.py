from __future__ import annotations

from email.message import Message

import pytest

from cog_nix.bom.licences import of_copyright, of_metadata
from cog_nix.bom.model import Licence

_HEAD = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"


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


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("License-Expression", "mit OR apache-2.0")], Licence("MIT OR Apache-2.0")),
        ([("License", "Apache 2.0")], Licence("Apache-2.0")),
        ([("License", "MIT")], Licence("MIT")),
        (
            [
                ("License", "Copyright\nand much more"),
                ("Classifier", "License :: OSI Approved :: MIT License"),
            ],
            Licence("MIT"),
        ),
        (
            [("License", "BSD"), ("Classifier", "License :: OSI Approved :: BSD License")],
            Licence(names=("BSD License",)),
        ),
        ([("License", "our own")], Licence(names=("our own",))),
        ([], Licence()),
    ],
)
def test_python_metadata(fields: list[tuple[str, str]], expected: Licence) -> None:
    message = Message()
    for name, value in fields:
        message[name] = value
    assert of_metadata(message) == expected
