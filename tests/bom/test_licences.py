from __future__ import annotations

from email.message import Message

import pytest

from cog_nix.bom.licences import of_metadata
from cog_nix.bom.model import Licence


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
