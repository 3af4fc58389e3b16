"""The action and the template for pipelines: their scripts run as runners run them, with the real parts."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from conftest import EXAMPLES, ROOT, cog_nix, copy_project
from tests.registry.conftest import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
TEMPLATE = yaml.safe_load((ROOT / "ci/gitlab.yml").read_text())[".cog-nix"]
PAGE = (ROOT / "docs/how-to/ci.md").read_text()
CHECKED = "cog-nix-check:ci"
CASE = "--case predict -i text=world"


class Runner:
    """Does what GitHub's runner does with a composite action (its "Metadata syntax" and "Expressions")."""

    def __init__(self, folder: Path, inputs: Mapping[str, str], variables: Mapping[str, str]) -> None:
        self.folder, self.steps = folder, dict[str, dict[str, str]]()
        self.known = {f"inputs.{name}": str(one["default"]) for name, one in ACTION["inputs"].items()}
        self.known |= {f"inputs.{name}": value for name, value in inputs.items()}
        self.known["github.action_path"] = str(ROOT)
        self.variables = dict(variables)
        self.path = ""
        self.done: list[str] = []

    def value(self, text: str) -> str:
        def one(found: re.Match[str]) -> str:
            return next(filter(None, (self.known.get(name.strip(), "") for name in found[1].split("||"))), "")

        return re.sub(r"\$\{\{(.+?)\}\}", one, text)

    def wanted(self, step: Mapping[str, Any]) -> bool:
        if "if" not in step:
            return True
        name, refused = re.fullmatch(r"(\S+) != '(.*)'", step["if"]).groups()  # type: ignore[union-attr]
        return self.known[name] != refused

    def run(self, step: Mapping[str, Any], work: Path) -> None:
        assert step["shell"] == "bash"
        output, path = self.folder / "output", self.folder / "path"
        output.write_text("")
        path.write_text("")
        given = {name: self.value(text) for name, text in step.get("env", {}).items()}
        files = {"GITHUB_OUTPUT": str(output), "GITHUB_PATH": str(path), "RUNNER_TEMP": str(self.folder)}
        environment = {**self.variables, **given, **files}
        environment["PATH"] = f"{self.path}{environment['PATH']}"
        script = self.folder / "script.sh"
        script.write_text(step["run"])
        where = work / self.value(step.get("working-directory", "."))
        execute(["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)], where, environment)
        self.path = "".join(f"{line}:" for line in path.read_text().split()) + self.path
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self.known[f"steps.{step['id']}.outputs.{name}"] = value
        self.done.append(step["name"])


def execute(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.fail(f"{command[-1]} ended with {ran.returncode}\n{ran.stdout}\n{ran.stderr}")
    return ran.stdout


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """Return the variables of a job, which has no checkout of cog-nix in them and no login."""
    told = ("COG_", "GITHUB_", "CI", "PYTHONPATH")
    left = {name: value for name, value in os.environ.items() if not name.startswith(told)}
    (tmp_path / "docker").mkdir()
    return {**left, "DOCKER_CONFIG": str(tmp_path / "docker")}


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """Yield a checkout with a model in a folder of it, as it was committed; what it loads is removed."""
    checkout = tmp_path / "work"
    copy_project(EXAMPLES / "hello-world", checkout / "models/hello-world")
    cog_nix("lock", cwd=checkout / "models/hello-world")
    yield checkout
    subprocess.run(["docker", "rmi", "--force", CHECKED], capture_output=True, check=False)


def passed(statement: Path, image: str) -> None:
    said = json.loads(statement.read_text())
    assert said["predicate"]["result"] == "PASSED"
    assert said["subject"][0]["name"].startswith(image.partition("@")[0].rpartition(":")[0])


@pytest.mark.slow
@pytest.mark.nix
@pytest.mark.docker
@pytest.mark.network
def test_the_action_builds_checks_pushes_and_verifies(
    work: Path,
    variables: dict[str, str],
    locked_registry: str,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "runner"
    folder.mkdir()
    inputs = {"project": "models/hello-world", "image": f"{locked_registry}/ci/hello:v1", "check": CASE}
    runner = Runner(folder, {**inputs, "username": USER, "password": PASSWORD}, variables)
    for step in ACTION["runs"]["steps"]:
        if "uses" not in step and step["name"] != "Allow user namespaces" and runner.wanted(step):
            runner.run(step, work)
    assert runner.done == ["Install cog-nix", "Build", "Check", "Log in", "Push", "Verify"]
    image = runner.value(ACTION["outputs"]["image"]["value"])
    assert re.fullmatch(rf"{re.escape(locked_registry)}/ci/hello(:v1)?@sha256:[0-9a-f]{{64}}", image)
    passed(Path(runner.value(ACTION["outputs"]["statement"]["value"])), image)


def test_steps_that_are_not_asked_for_are_left_out(tmp_path: Path) -> None:
    runner = Runner(tmp_path, {"verify": "no"}, {})
    left = [step["name"] for step in ACTION["runs"]["steps"] if not runner.wanted(step)]
    assert left == ["Check", "Log in", "Push", "Verify"]


@pytest.mark.skipif(
    Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists(),
    reason="it would change this machine",
)
def test_nothing_is_asked_of_sudo_where_user_namespaces_are_allowed(tmp_path: Path) -> None:
    (step,) = [one for one in ACTION["runs"]["steps"] if one["name"] == "Allow user namespaces"]
    Runner(tmp_path, {}, {"PATH": os.environ["PATH"]}).run(step, tmp_path)


@pytest.mark.slow
@pytest.mark.nix
@pytest.mark.network
def test_the_template_builds_pushes_and_verifies(
    work: Path,
    variables: dict[str, str],
    locked_registry: str,
    tmp_path: Path,
) -> None:
    image = f"{locked_registry}/ci/gitlab:v1"
    runner = {
        "CI_PROJECT_DIR": str(work),
        "CI_REGISTRY": locked_registry,
        "CI_REGISTRY_USER": USER,
        "CI_REGISTRY_PASSWORD": PASSWORD,
    }
    job = {
        "COG_NIX_SOURCE": str(ROOT),
        "COG_NIX_FOLDER": str(tmp_path / "cog-nix"),
        "COG_NIX_IMAGE": image,
        "COG_NIX_PROJECT": "models/hello-world",
    }
    said = {**TEMPLATE["variables"], **job}
    environment = {**variables, **runner}
    for name, value in said.items():
        environment[name] = re.sub(r"\$(CI_\w+)", lambda found: runner[found[1]], str(value))
    script = "\n".join([*TEMPLATE["before_script"], *TEMPLATE["script"]])
    execute(["bash", "-eo", "pipefail", "-c", script], work, environment)
    (artifact,) = TEMPLATE["artifacts"]["paths"]
    passed(work / artifact, image)
    kept = work / TEMPLATE["cache"]["paths"][0]
    assert any(kept.iterdir()), "what is cached is where GitLab looks for it"


def test_what_is_cached_is_what_is_used() -> None:
    (cache,) = [step["with"]["path"] for step in ACTION["runs"]["steps"] if "uses" in step]
    assert cache == "~/.cache/cog-nix"
    assert TEMPLATE["variables"]["COG_NIX_CACHE_DIR"] == f"$CI_PROJECT_DIR/{TEMPLATE['cache']['paths'][0]}"


def test_the_manual_has_every_input_and_variable() -> None:
    names = [*ACTION["inputs"], *ACTION["outputs"], *TEMPLATE["variables"]]
    assert [name for name in names if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("found", re.findall(r"```yaml ci\n(.*?)```", PAGE, re.DOTALL))
def test_blocks_of_the_manual_are_yaml_and_name_what_there_is(found: str) -> None:
    for step in yaml.safe_load(found) if found.lstrip().startswith("- ") else ():
        if "cog-nix" in step.get("uses", ""):
            assert step.get("with", {}).keys() <= ACTION["inputs"].keys()
    if ".cog-nix" in found:
        (job,) = [one for one in yaml.safe_load(found).values() if isinstance(one, dict)]
        assert job["extends"] == ".cog-nix"
        assert job["variables"].keys() <= TEMPLATE["variables"].keys()
