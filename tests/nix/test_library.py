"""The Nix library: its own unit tests, and that each of its files says what it takes and gives."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "nix"
FILES = sorted(
    path.relative_to(LIBRARY).as_posix()
    for path in LIBRARY.rglob("*.nix")
    if not path.name.endswith(".tests.nix")
)
_TESTS = [
    (file, name)
    for file in FILES
    if (path := (LIBRARY / file).with_suffix(".tests.nix")).exists()
    for name in re.findall(r"^  (\w+) = \{\n    (?:#[^\n]*\n    )*expr =", path.read_text(), re.MULTILINE)
]
_OF_THE_TESTS = {"tests.nix", "fixtures.nix"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return what nix-instantiate makes of tests.nix: the tests of each file."""
    store = tmp_path_factory.mktemp("store")
    command = ["nix-instantiate", "--store", str(store), "--eval", "--strict", "--read-write-mode", "--json"]
    ran = subprocess.run([*command, str(LIBRARY / "tests.nix")], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, dict[str, Any]] = json.loads(ran.stdout)
    return found


@pytest.mark.nix
@pytest.mark.parametrize(("file", "name"), _TESTS, ids=[name for _, name in _TESTS])
def test_what_is_expected(results: dict[str, dict[str, Any]], file: str, name: str) -> None:
    assert results[file][name]["expr"] == results[file][name]["expected"]


@pytest.mark.nix
def test_no_test_is_passed_over(results: dict[str, dict[str, Any]]) -> None:
    assert {(file, name) for file, tests in results.items() for name in tests} == set(_TESTS)


def exported(text: str) -> list[str]:
    """Return the functions of a file that has several; of one that is a function, none."""
    if re.match(r"(#[^\n]*\n)*(rec )?\{\n  (/\*|#)", text):
        return re.findall(r"^  (\w+) =", text, re.MULTILINE)
    return []


@pytest.mark.parametrize("file", FILES)
def test_every_file_says_what_it_is_with_its_type(file: str) -> None:
    text = (LIBRARY / file).read_text()
    if functions := exported(text):
        documented = re.findall(r"/\*(?:(?!\*/).)*?Type: (?:(?!\*/).)*?\*/\n  (\w+) =", text, re.DOTALL)
        assert documented == functions, "each exported function has a comment with its type"
    else:
        comment = re.match(r"/\*\n(.*?)\*/\n", text, re.DOTALL)
        assert comment, "a file that is one function begins with a comment"
        assert re.search(r"^  Type: \S.*", comment[1], re.MULTILINE)
        assert re.match(r"  [A-Z]", comment[1])


@pytest.mark.parametrize("file", sorted(set(FILES) - _OF_THE_TESTS - {"build.nix"}))
def test_every_function_is_tested(file: str) -> None:
    names = [name for tested, name in _TESTS if tested == file]
    assert names, f"there is no test in {file.removesuffix('.nix')}.tests.nix"
    prefix = Path(file).stem
    wanted = [prefix + name[0].upper() + name[1:] for name in exported((LIBRARY / file).read_text())]
    assert [one for one in wanted if not any(name.startswith(one) for name in names)] == []


@pytest.mark.parametrize("file", FILES)
def test_files_are_small_and_tied_together_by_default_nix(file: str) -> None:
    text = (LIBRARY / file).read_text()
    if file != "fixtures.nix":
        assert len(text.splitlines()) < 150
    if file not in _OF_THE_TESTS | {"default.nix", "build.nix"}:
        code = re.sub(r"/\*.*?\*/|#[^\n]*", "", text, flags=re.DOTALL)
        assert "import ./" not in code, "only default.nix ties files together"
