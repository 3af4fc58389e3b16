"""Files that the manual names are there, and pages about the design say where their code is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from .pages import PAGES, ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = ("benchmarks", "cog_nix", "compat-tests", "docs", "examples", "hooks", "nix", "scripts", "tests")
NAMED = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[^`\s*…]*)`")
CHANGELOG = ROOT / "CHANGELOG.md"
"""Tells what was, under the names of its day."""


def names(page: Path) -> list[str]:
    return [name for name in NAMED.findall(page.read_text(encoding="utf-8")) if not name.endswith("/X")]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != CHANGELOG], ids=lambda page: str(page.relative_to(ROOT))
)
def test_named_files_are_there(page: Path) -> None:
    assert [name for name in names(page) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs/design").glob("*.md")), ids=lambda page: page.stem)
def test_a_page_about_the_design_says_where_its_code_is(page: Path) -> None:
    [line] = re.findall(r"^The code: (.+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert "`" in line


def test_the_map_has_every_folder_of_the_code() -> None:
    mapped = set(re.findall(r"`cog_nix/(\w+)/", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    folders = {path.parent.name for path in (ROOT / "cog_nix").glob("*/__init__.py")}
    assert folders - mapped == set()
