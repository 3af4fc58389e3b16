"""A hint is followed to the letter, and the file passes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cog_nix.config import complete, parse, validate
from cog_nix.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = "  python_version: '3.11'\n"

FAULTY = {
    "a value at the colon of a section": f"build:1\n{PYTHON}",
    "a value at a section": f"build: 1\n{PYTHON}",
    "an item too far left": f"build:\n{PYTHON}  run:\n    - pip install a\n   - pip install b\n",
    "an item at another column": f"build:\n{PYTHON}  run:\n    - pip install a\n  - pip install b\n",
    "an item left of its list": f"build:\n{PYTHON}  run:\n  - pip install a\n - pip install b\n",
    "a quoted item too far right": f'build:\n{PYTHON}  run:\n    - "ls a"\n     - "ls b"\n',
    "a quoted item too far left": f'build:\n{PYTHON}  run:\n    - "ls a"\n   - "ls b"\n  gpu: false\n',
    "an item without a dash": f"build:\n{PYTHON}  python_packages:\n    - a==1\n    b==2\n    - c==3\n",
    "a key too far right": f"build:\n{PYTHON}   gpu: false\n",
    "a key too far left": f"build:\n{PYTHON} gpu: false\n",
    "a key without a colon": f"build\n{PYTHON}",
    "a first key and its value without a colon": f"build:\n  gpu false\n{PYTHON}",
    "a key and its value without a colon": f"build:\n{PYTHON}  gpu false\n  run:\n    - ls\n",
    "a last key and its value without a colon": f"build:\n{PYTHON}  gpu false\n",
    "a torch that is newer than what is known": (
        f"build:\n{PYTHON}  gpu: true\n  python_packages:\n    - torch==2.99.0\n"
    ),
    "no space behind colons": "build:\n  python_version:'3.11'\n  gpu:false\n",
    "a tab": "build:\n\tpython_version: '3.11'\n",
    "a colon in a value": f"build:\n{PYTHON}  run:\n    - echo a: b: c\n",
    "CUDA that is too old": f"build:\n{PYTHON}  gpu: true\n  cuda: '10.1'\n",
    "CUDA that is too old for a release that nobody knows": (
        f"build:\n{PYTHON}  gpu: true\n  cuda: '10.1'\n  python_packages:\n    - torch==1.5.0\n"
    ),
    "CUDA that is too old for a known release": (
        f"build:\n{PYTHON}  gpu: true\n  cuda: '10.2'\n  python_packages:\n    - torch==2.1.0\n"
    ),
    "an old Python": "build:\n  python_version: '3.8'\n",
    "an old Python with an old torch": (
        "build:\n  python_version: '3.8'\n  gpu: true\n  python_packages:\n    - torch==1.7.1\n"
    ),
    "a torch without wheels for this Python": (
        f"build:\n{PYTHON}  gpu: true\n  python_packages:\n    - torch==1.3.0\n"
    ),
    "a tensorflow without wheels for this Python": (
        f"build:\n{PYTHON}  gpu: true\n  python_packages:\n    - tensorflow==1.15.0\n"
    ),
    "a torch that is not pinned": f"build:\n{PYTHON}  gpu: true\n  python_packages:\n    - torch\n",
    "a number for concurrency": f"build:\n{PYTHON}concurrency: 32\n",
    "a text for a list": f"build:\n{PYTHON}  run: pip install x\n",
}

_PLACE = re.compile(r"cog\.yaml:(\d+): .*\n(?:  \d+ \| .*\n)?((?:    .*\n?)*)")


def follow(lines: list[str], number: int, hint: str) -> None:
    """Do what a hint says to a line of cog.yaml."""
    first, *more = hint.splitlines()
    line = lines[number]
    indent = line[: len(line) - len(line.lstrip(" "))]
    release = re.search(r"(?:that has|is known|Pin it): (\S+==[\d.]+\d)", first)
    if first.startswith("Remove the line"):
        del lines[number]
    elif first.startswith("Write it with"):
        (lines[number],) = more
    elif release:
        lines[number] = re.sub(r"[a-z]+(==\S+)?$", release[1], line)
    elif more:
        lines[number : number + _replaced(line, more)] = [
            text if text.startswith(" ") and not indent else indent + text for text in more
        ]
    else:
        written = re.sub("^(Write|Put it in quotes): ", "", first).partition(", or a later one.")[0]
        assert written != first
        lines[number] = written if written.startswith(" ") else indent + written


def _replaced(line: str, written: list[str]) -> int:
    """How many lines are written anew: all that lack a space, or the one with the value."""
    return len(written) if re.search(r":\S", line) else 1


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in FAULTY.items()])
def test_a_file_passes_once_its_hints_are_followed(tmp_path: Path, text: str) -> None:
    seen = []
    for _ in range(3):
        try:
            document = parse(text)
            validate(document, tmp_path)
            complete(document, tmp_path)
        except ConfigError as error:
            seen.append(error.shown())
            lines = text.splitlines()
            for place in reversed(list(_PLACE.finditer(error.shown()))):
                follow(lines, int(place[1]) - 1, re.sub("^    ", "", place[2], flags=re.MULTILINE))
            text = "\n".join([*lines, ""])
        else:
            assert seen
            return
    pytest.fail("\n".join([*seen, text]))
