"""How a model's interface differs from the one before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import Project
from cog_nix.errors import SignatureError
from cog_nix.watch.interface import differences, read_document
from tests.runtime.conftest import document

if TYPE_CHECKING:
    from pathlib import Path

TEXT, NUMBER = {"type": "string", "x-order": 0}, {"type": "integer"}


def text(
    properties: dict[str, Any], output: dict[str, Any] | None = None, required: tuple[str, ...] = ()
) -> str:
    return json.dumps(document(properties, output or TEXT, required))


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (text({"a": TEXT}), text({"a": TEXT}), []),
        (text({"a": TEXT}), text({"a": {"type": "string", "x-order": 3}}), []),
        (text({"a": TEXT}), text({"a": TEXT, "b": NUMBER}), ["input b added"]),
        (text({"a": TEXT, "b": NUMBER}), text({"a": TEXT}), ["input b removed"]),
        (text({"a": TEXT}), text({"a": NUMBER}), ["input a changed"]),
        (text({"a": TEXT}), text({"a": TEXT}, None, ("a",)), ["input a changed"]),
        (text({"a": TEXT}), text({"a": TEXT}, NUMBER), ["output changed"]),
        (
            text({"a": TEXT}),
            text({"b": TEXT}, NUMBER),
            ["input b added", "input a removed", "output changed"],
        ),
    ],
)
def test_differences_are_named(before: str, now: str, expected: list[str]) -> None:
    assert differences(before, now) == expected


def test_the_document_is_read_from_the_source(tmp_path: Path) -> None:
    (tmp_path / "cog.yaml").write_text('build:\n  python_version: "3.13"\nrun: "run.py:Runner"\n')
    source = tmp_path / "run.py"
    body = "from cog import BaseRunner\n\n\nclass Runner(BaseRunner):\n    def run(self, {}) -> str: ...\n"
    project = Project(tmp_path, tmp_path / "cog.yaml")
    source.write_text(body.format("a: str"))
    first = read_document(project)
    source.write_text(body.format("a: int = 1, b: str = ''"))
    assert differences(first, read_document(project)) == ["input a changed", "input b added"]
    source.write_text("class Runner(:\n")
    with pytest.raises(SignatureError, match="failed to parse Python source"):
        read_document(project)
