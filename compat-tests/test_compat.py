"""Every example and every model that a promise needs, built with cog-nix and examined from outside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cog_nix.check
from cog_nix.check import Case, Outcome, all_cases, project_path
from cog_nix.plugins.manager import find_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cog_nix.check import Result
    from cog_nix.plugins.spec import Runtime

pytestmark = [pytest.mark.nix, pytest.mark.docker, pytest.mark.network]

EXAMPLES = Path(__file__).parents[1] / "examples"
INPUTS = {
    "ebsynth-cpu-like": {
        name: f"@{EXAMPLES / 'ebsynth-cpu-like' / name}.png"
        for name in ("style", "source_guide", "target_guide")
    },
    "hello-world": {"text": "Ada"},
    "read-text": {"image": f"@{EXAMPLES / 'read-text' / 'receipt.png'}"},
    "speech-to-text": {"audio": f"@{EXAMPLES / 'speech-to-text' / 'speech.ogg'}"},
    "streaming-words": {"words": "3", "delay": "0"},
}
"""What to ask an example; the others get what the witness makes up, or nothing."""

PROJECTS = sorted({case.project for case in all_cases() if case.project})


def cases_of(project: str) -> tuple[Case, ...]:
    return tuple(case for case in all_cases() if case.project == project)


def broken(results: Sequence[Result]) -> list[str]:
    assert results
    return [f"{result.case}: {result.detail}" for result in results if result.outcome is Outcome.FAIL]


@pytest.fixture
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Where images are run: Docker, or what ``--runtime`` names."""
    return find_runtime(request.config.getoption("--runtime"))


@pytest.mark.parametrize("example", sorted(path.parent.name for path in EXAMPLES.glob("*/cog.yaml")))
def test_an_example_keeps_the_promises_of_any_image(
    example: str, built_image: Callable[[str], str], runtime: Runtime
) -> None:
    image = built_image(example)
    assert broken(cog_nix.check.run(image, inputs=INPUTS.get(example), runtime=runtime)) == []


@pytest.mark.parametrize("project", PROJECTS)
def test_a_model_keeps_the_promises_that_speak_of_it(
    project: str, build_project: Callable[[Path], str], runtime: Runtime
) -> None:
    image = build_project(project_path(project))
    assert (
        broken(cog_nix.check.run(image, only=[case.name for case in cases_of(project)], runtime=runtime))
        == []
    )


@pytest.mark.parametrize("project", ["trainer", "surroundings", "unprivileged"])
def test_other_models_keep_the_promises_of_any_image(
    project: str, build_project: Callable[[Path], str], runtime: Runtime
) -> None:
    assert broken(cog_nix.check.run(build_project(project_path(project)), runtime=runtime)) == []
