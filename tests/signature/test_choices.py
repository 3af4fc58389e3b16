"""What is said about choices that Cog cannot read: the list to write, which then passes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import SignatureError
from cog_nix.signature import describe_model, document

if TYPE_CHECKING:
    from pathlib import Path

OTHER = "NAMES = {'a': 1, 'b': 2}\nMORE = ['c']\n"


def write(root: Path, before: str, choices: str) -> Path:
    (root / "other.py").write_text(OTHER)
    (root / "predict.py").write_text(
        f"import other\nfrom cog import BasePredictor, Input\nfrom other import MORE, NAMES\n{before}\n\n"
        "class Predictor(BasePredictor):\n"
        f"    def predict(self, mode: str = Input(choices={choices})) -> str:\n        return mode\n"
    )
    return root


def allowed(root: Path) -> Any:
    schemas = json.loads(document(root, "predict.py:Predictor", None, "0.23.1"))["components"]["schemas"]
    return schemas["mode"]["enum"] if "mode" in schemas else None


@pytest.mark.parametrize(
    ("before", "choices", "expected"),
    [
        ("", "list(NAMES.keys())", ["a", "b"]),
        ("", "list(other.NAMES)", ["a", "b"]),
        ("", "[*NAMES, *MORE]", ["a", "b", "c"]),
        ("", "MORE + ['x']", ["c", "x"]),
        ("N = {'z': print, 'y': other.f()}", "sorted(N.keys())", ["y", "z"]),
        ("N = {'z': print, 'y': other.f()}", "[k for k in N]", ["z", "y"]),
        ("N = dict(a=1, b=2)", "list(N.keys())", ["a", "b"]),
        ("FIRST = 'f'", "[FIRST, 'g']", ["f", "g"]),
        ("class Size:\n    ALL = ['s', 'm']", "Size.ALL", ["s", "m"]),
        ("", "('a', 'b')", ["a", "b"]),
        ("", "[n.upper() for n in NAMES]", ["A", "B"]),
        ("", "sorted(NAMES.keys()) + sorted([k.title() for k in MORE])", ["a", "b", "C"]),
        ("N = {'en': 'english', 'de': 'german'}", "[*N, *N.values()]", ["en", "de", "english", "german"]),
        (
            "N = {'en': 'english', 'de': 'german'}",
            "[f'{a}-{b}' for a, b in N.items() if a != 'en']",
            ["de-german"],
        ),
        ("N = [('s', 512), ('m', 768)]", "[name for name, _ in N]", ["s", "m"]),
        ("N = {'b', 'a'}", "sorted(set(N))", ["a", "b"]),
        ("N = {k: 1 for k in 'ab'}", "list(N.keys())", ["a", "b"]),
        ("", "[str(n) for n in range(1, 4)]", ["1", "2", "3"]),
        ("N = 'a b'", "N.split()", ["a", "b"]),
        (
            "from enum import Enum\nclass Style(str, Enum):\n    ONE = 'one'\n    TWO = 'two'",
            "[s.value for s in Style]",
            ["one", "two"],
        ),
        (
            "from enum import Enum\nclass Style(Enum):\n    ONE = open\n    TWO = 2",
            "[s.name for s in Style]",
            ["ONE", "TWO"],
        ),
        ("", "['a',  # the first\n        \"it's\"]", ["a", "it's"]),
    ],
)
def test_the_list_that_the_hint_gives_is_taken(
    tmp_path: Path, before: str, choices: str, expected: list[str]
) -> None:
    with pytest.raises(SignatureError, match="choices expression cannot be statically resolved") as caught:
        allowed(write(tmp_path, before, choices))
    written = caught.value.hint.removeprefix("Write: choices=")
    assert written != caught.value.hint
    assert allowed(write(tmp_path, before, written)) == expected


@pytest.mark.parametrize(
    ("before", "choices", "name"),
    [
        ("N = {k: 1 for k in open('ab')}", "list(N.keys())", "N"),
        ("from nowhere import N", "list(N)", "N"),
        ("import os\nN = os.listdir('models')", "[n for n in N if n != 'x']", "N"),
        ("N = [print, 'a']", "[n for n in N]", "the expression"),
        ("N = 'a' * 100000", "list(N)", "N"),
        ("A = ['a']\nB = A * 1999\nN = [x for x in B for y in B for z in B]", "list(N)", "N"),
        ("N = ['a']\nN = ['b']", "list(N)", "N"),
        ("N = N", "[*N]", "N"),
    ],
)
def test_what_only_running_would_tell_is_named(tmp_path: Path, before: str, choices: str, name: str) -> None:
    with pytest.raises(SignatureError) as caught:
        allowed(write(tmp_path, before, choices))
    assert f"what {name} has is not written out in this project" in caught.value.hint


def test_choices_that_cog_passes_over_are_a_warning(tmp_path: Path) -> None:
    root = write(tmp_path, "N = {'a': 1, 'b': print}", "list(N.keys())")
    (pitfall,) = describe_model(root, "predict.py:Predictor", None).leading.pitfalls
    assert pitfall.startswith("predict.py:7: of list(N.keys()), the schema has 1: ")
    assert allowed(root) == ["a"]
    written = pitfall.partition("Write: choices=")[2]
    assert allowed(write(tmp_path, "", written)) == ["a", "b"]


def test_choices_that_are_all_read_are_no_warning(tmp_path: Path) -> None:
    root = write(tmp_path, "N = {'a': 1, 'b': 2}", "list(N.keys())")
    assert describe_model(root, "predict.py:Predictor", None).leading.pitfalls == ()
