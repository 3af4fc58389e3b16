"""The promises of Cog's images, kept in Podman and without a daemon; ``compat-tests`` tries all in Docker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix import check
from cog_nix.check import Outcome, project_path
from cog_nix.image.description import ImageDescription
from cog_nix.plugins.manager import find_runtime
from cog_nix.report import SilentReporter
from conftest import EXAMPLES, cog_nix, copy_project

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.nix, pytest.mark.root]

# Every case of another kind than the others: what runtimes may differ in is the network, signals and files.
ANY_IMAGE = (
    *(
        "predict",
        "no-leftovers",
        "reaps-children",
        "pip-freeze",
        "schema-agrees",
        "image-command",
        "other-port",
    ),
    *("stop-sigterm", "stop-sigint", "stop-http"),
)
PROJECTS = [
    pytest.param(EXAMPLES / "hello-world", ANY_IMAGE, id="hello-world"),
    pytest.param(
        project_path("counter"),
        ("cancel", "stop-while-busy", "webhook-events", "await-shutdown"),
        id="counter",
    ),
]


@pytest.fixture(params=["podman", "bundle"])
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "podman":
        request.getfixturevalue("podman_host")
    return str(request.param)


@pytest.mark.parametrize(("project", "cases"), PROJECTS)
def test_promises_are_kept(name: str, project: Path, cases: tuple[str, ...], tmp_path: Path) -> None:
    folder = copy_project(project, tmp_path / project.name)
    cog_nix("build", "--no-load", cwd=folder)
    program = (folder / "result").resolve()
    runtime = find_runtime(name)
    assert runtime.available() is None
    image = f"cog-nix-test-promises-{project.name}:latest"
    runtime.load(program, [image], SilentReporter())
    assert runtime.image_labels(image) == ImageDescription.read(program).config["config"]["Labels"]
    inputs = {"text": "world"} if project.name == "hello-world" else None
    results = check.run(image, inputs=inputs, only=cases, runtime=runtime)
    assert [(one.case, one.detail) for one in results if one.outcome is not Outcome.PASS] == []
