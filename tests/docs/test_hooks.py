"""Every hook has a place in the manual, as it is in the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from cog_nix.plugins.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/hooks.md"
HOOKS = {name: value for name, value in vars(Spec).items() if inspect.isfunction(value)}


def _section(hook: str) -> str:
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(f"\n## {hook}\n")
    assert found, f"docs/reference/hooks.md has no section {hook}: run `make docs`"
    return rest.partition("\n## ")[0]


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_every_hook_is_documented(hook: str) -> None:
    section = _section(hook)
    first = (inspect.getdoc(HOOKS[hook]) or "").splitlines()[0].replace("``", "`")
    assert first.strip(), f"{hook} has no docstring"
    assert first in section
    for argument in [name for name in inspect.signature(HOOKS[hook]).parameters if name != "self"]:
        assert argument in section


def test_no_other_hook_is_documented() -> None:
    sections = [line[3:] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("## ")]
    assert set(sections) & set(HOOKS) == set(HOOKS)
    assert [section for section in sections if "_" in section and section not in HOOKS] == []


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_every_hook_says_when_it_runs(hook: str) -> None:
    assert (inspect.getdoc(HOOKS[hook]) or "").startswith("Runs ")


def test_the_page_has_no_markup_of_docstrings() -> None:
    assert re.findall(r":[a-z]+:`[^`]*`|(?<!`)``[^`\n]+``", PAGE.read_text(encoding="utf-8")) == []
