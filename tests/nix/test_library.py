"""The Nix library: its own unit tests, and that each of its files says what it takes and gives."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "nix"
TESTS = LIBRARY / "tests.nix"
FILES = sorted(
    path.relative_to(LIBRARY).as_posix() for path in LIBRARY.rglob("*.nix") if path.parts[-2] != "tests"
)
_NAMES = re.findall(r"^  (\w+) = \{\n    expr =", TESTS.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what nix-instantiate makes of tests.nix."""
    store = tmp_path_factory.mktemp("store")
    command = ["nix-instantiate", "--store", str(store), "--eval", "--strict", "--read-write-mode", "--json"]
    ran = subprocess.run([*command, str(TESTS)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.nix
@pytest.mark.parametrize("name", _NAMES)
def test_what_is_expected(results: dict[str, Any], name: str) -> None:
    assert results[name]["expr"] == results[name]["expected"]


@pytest.mark.nix
def test_no_test_is_passed_over(results: dict[str, Any]) -> None:
    assert set(results) == set(_NAMES)


@pytest.mark.parametrize("file", FILES)
def test_every_file_says_what_it_is_with_its_type(file: str) -> None:
    text = (LIBRARY / file).read_text()
    if re.match(r"(#[^\n]*\n)*(rec )?\{\n  (/\*|#)", text):
        exported = re.findall(r"^  (\w+) =", text, re.MULTILINE)
        documented = re.findall(r"/\*(?:(?!\*/).)*?Type: (?:(?!\*/).)*?\*/\n  (\w+) =", text, re.DOTALL)
        assert documented == exported, "each exported function has a comment with its type"
    else:
        comment = re.match(r"/\*\n(.*?)\*/\n", text, re.DOTALL)
        assert comment, "a file that is one function begins with a comment"
        assert re.search(r"^  Type: \S.*", comment[1], re.MULTILINE)
        assert re.match(r"  [A-Z]", comment[1])


@pytest.mark.parametrize("file", [file for file in FILES if file not in {"tests.nix", "build.nix"}])
def test_every_file_is_tested(file: str) -> None:
    assert re.search(rf"^  # (.*, )?{re.escape(file)}(,.*)?$", TESTS.read_text(), re.MULTILINE)


@pytest.mark.parametrize("file", FILES)
def test_files_are_small_and_tied_together_by_default_nix(file: str) -> None:
    text = (LIBRARY / file).read_text()
    if file != "tests.nix":
        assert len(text.splitlines()) < 150
    if file not in {"default.nix", "tests.nix", "build.nix"}:
        code = re.sub(r"/\*.*?\*/|#[^\n]*", "", text, flags=re.DOTALL)
        assert "import ./" not in code, "only default.nix ties files together"
