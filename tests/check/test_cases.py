"""The cases themselves: each can be read, says what it promises, and uses what exists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.check.case import CompatError, all_cases, load, project_path, select
from cog_nix.check.checks import CHECKS
from cog_nix.check.steps import STEPS, VARIABLES
from cog_nix.check.subject import FACTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.check import Case

every_case = pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key != "run":  # the shell has variables of its own
                yield from strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


@every_case
def test_a_case_states_a_promise_and_its_source(case: Case) -> None:
    assert case.promise[0].isupper() or case.promise.split()[0].islower()
    assert not case.promise.endswith(".")
    assert re.match(r"(docs|pkg|crates|python)/", case.source)
    assert case.steps


@every_case
def test_a_case_uses_what_exists(case: Case) -> None:
    assert set(case.needs) <= set(FACTS)
    assert case.project is None or (project_path(case.project) / "cog.yaml").is_file()
    older = case.before_coglet.steps if case.before_coglet else ()
    for step in (*case.steps, *older):
        assert len(set(step) & set(STEPS)) == 1, step
        assert step.get("check", "labels") in CHECKS
    settings = case.container.env if case.container else {}
    for text in strings([*case.steps, *older, settings]):
        for name in re.findall(r"\$\{([^}]+)\}", text):
            verb, _, file = name.partition(" of ")
            assert name in VARIABLES or (verb in {"url", "data"} and (case.folder / file).is_file()), name


def test_every_project_is_used_and_every_check_too() -> None:
    projects = {path.name for path in project_path("counter").parent.iterdir() if path.is_dir()}
    assert projects == {case.project for case in all_cases() if case.project}
    older = [step for case in all_cases() if case.before_coglet for step in case.before_coglet.steps]
    steps = [*older, *(step for case in all_cases() for step in case.steps)]
    assert set(CHECKS) == {step["check"] for step in steps if "check" in step}


def test_without_names_only_the_cases_of_any_image_are_chosen() -> None:
    assert {case.project for case in select([])} == {None}
    assert [case.name for case in select(["metrics", "root"])] == ["metrics", "root"]


def test_a_misspelt_case_gets_a_suggestion() -> None:
    with pytest.raises(CompatError, match="no case 'helth-ready'") as caught:
        select(["helth-ready"])
    assert "health-ready" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('promise = "x"', "KeyError|'source'"),
        ("promise = ", "Invalid value"),
        ('promise = "x"\nsource = "docs/x"\nsteps = []\nstep = []', "unknown keys steps"),
        ('promise = "x"\nsource = "docs/x"\nstep = []\ncontainer = { cmd = [] }', "unknown keys cmd"),
    ],
    ids=["no-source", "no-toml", "misspelt-key", "misspelt-container-key"],
)
def test_a_malformed_case_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_text(text)
    with pytest.raises(CompatError, match=message):
        load(tmp_path)
