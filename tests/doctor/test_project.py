"""What the doctor sees in a project, and what it changes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cog_nix.build.interface import read_api
from cog_nix.cli.app import run
from cog_nix.config import load_config
from cog_nix.config.model import Settings
from cog_nix.doctor import migrate, project
from cog_nix.errors import CogNixError
from cog_nix.lock import format as lock_format
from cog_nix.lock.model import Interpreter, Lock, Seed
from cog_nix.plugins.manager import load as load_plugins
from cog_nix.project.find import find_project
from cog_nix.resolve.inputs import digest

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.plugins.spec import Finding

CONFIG = 'build:\n  python_version: "3.13"  # kept\nrun: "run.py:Runner"\n'
OLD_CONFIG = "build:\n  python_version: '3.13'\npredict: 'predict.py:Predictor'  # the model\r\n"
RUNNER = """\
from cog import BaseRunner


class Runner(BaseRunner):
    def run(self, a: str) -> str:
        return a
"""
PREDICTOR = '''\
from cog import BasePredictor, Input


class Predictor(BasePredictor):
    """A Predictor of text."""

    def predict(self, text: str = Input(description="what to predict")) -> str:
        return predict(text)  # Predictor

    def again(self) -> str:
        return self.predict("again")


def predict(text: str) -> str:
    return text
'''


def look(root: Path, **files: str) -> list[Finding]:
    for name, text in files.items():
        (root / name.replace("__", ".")).write_bytes(text.encode())
    return list(project.examine(find_project(root), load_plugins()))


def problems(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.check, one.severity) for one in findings if one.severity != "ok"]


def test_a_right_project(tmp_path: Path) -> None:
    found = look(tmp_path, cog__yaml=CONFIG, run__py=RUNNER)
    assert [(one.check, one.severity) for one in found] == [
        ("Inputs and outputs", "ok"),
        ("Lock", "ok"),
        ("Config parsing", "ok"),
        ("Config schema", "ok"),
        ("Deprecated predict interface names", "ok"),
        ("Deprecated fields", "ok"),
        ("Predict reference", "ok"),
        ("Pydantic BaseModel workaround", "ok"),
        ("Deprecated imports", "ok"),
        ("Type annotations", "ok"),
    ]
    assert "the first build makes it" in found[1].message


def test_an_environment_without_a_model_is_right(tmp_path: Path) -> None:
    found = look(tmp_path, cog__yaml='build:\n  python_version: "3.13"\n')
    assert problems(found) == []
    assert found[0].message == "there is no model: this is an environment for commands"


@pytest.mark.parametrize(
    ("files", "check", "message"),
    [
        pytest.param(
            {"cog__yaml": "build: ["}, "Config parsing", "cog.yaml has invalid YAML: cog.yaml:", id="not-yaml"
        ),
        pytest.param(
            {"cog__yaml": "build:\n  gpu: 7\n  python_version: '3.13'\n"},
            "Config schema",
            "cog.yaml validation failed: cog.yaml:2",
            id="wrong-type",
        ),
        pytest.param(
            {"cog__yaml": CONFIG.replace("run.py:", "gone.py:")},
            "Predict reference",
            "gone.py not found",
            id="no-such-file",
        ),
        pytest.param(
            {"run__py": "class Other: ...\nclass Another: ..."},
            "Predict reference",
            'class "Runner" not found in run.py; found: Other, Another',
            id="no-such-class",
        ),
        pytest.param(
            {"run__py": RUNNER.replace(" -> str", " -> set")},
            "Inputs and outputs",
            "run.py",
            id="unsupported",
        ),
        pytest.param({"run__py": "class Runner("}, "Inputs and outputs", "run.py", id="not-python"),
        pytest.param(
            {"other__py": "import os\nfrom cog.types import ExperimentalFeatureWarning\n"},
            "Deprecated imports",
            "ExperimentalFeatureWarning was removed in cog 0.17; current_scope().record_metric()",
            id="gone-from-cog",
        ),
        pytest.param(
            {
                "other__py": "from pydantic import BaseModel as B\n\nclass Output(B):\n"
                "    model_config = dict(arbitrary_types_allowed=True)\n"
            },
            "Pydantic BaseModel workaround",
            "Output inherits from pydantic.BaseModel with arbitrary_types_allowed; use cog.BaseModel instead",
            id="workaround",
        ),
    ],
)
def test_what_is_wrong(tmp_path: Path, files: dict[str, str], check: str, message: str) -> None:
    found = look(tmp_path, **{"cog__yaml": CONFIG, "run__py": RUNNER, **files})
    assert problems(found) == [(check, "error")]
    [one] = [one for one in found if one.severity == "error"]
    assert one.message.startswith(message) or (message == "run.py" and message in one.message)
    assert one.remedy


def test_a_place_is_told_apart_from_what_is_wrong_there(tmp_path: Path) -> None:
    gone = "import os\nfrom cog.types import ExperimentalFeatureWarning\n"
    found = look(tmp_path, cog__yaml=CONFIG, run__py=RUNNER, other__py=gone)
    [one] = [one for one in found if one.severity == "error"]
    assert (one.group, one.file, one.line) == ("Python", "other.py", 2)


@pytest.mark.parametrize(
    "source",
    [RUNNER.replace(" -> str", ""), RUNNER.replace(" -> str", "").replace("def run", "async def run")],
    ids=["sync", "async"],
)
def test_a_missing_annotation_is_a_warning_as_upstream_has_it(tmp_path: Path, source: str) -> None:
    found = look(tmp_path, cog__yaml=CONFIG, run__py=source)
    [one] = [one for one in found if one.severity != "ok"]
    assert (one.check, one.severity, one.file, one.line) == ("Type annotations", "warning", "run.py", 5)
    assert one.message == "Runner.run() is missing a return type annotation"


def test_deprecated_keys_are_told_once_each(tmp_path: Path) -> None:
    config = CONFIG.replace("run:", "predict:").replace(
        "build:\n", "build:\n  python_packages: [six==1.16.0]\n"
    )
    found = look(tmp_path, cog__yaml=config, run__py=RUNNER)
    assert [(one.check, one.message, one.line) for one in found if one.severity != "ok"] == [
        (
            "Deprecated predict interface names",
            "predict in cog.yaml is deprecated; use run with run.py:Runner",
            0,
        ),
        (
            "Deprecated fields",
            '"build.python_packages" is deprecated: use a requirements.txt file instead',
            2,
        ),
    ]


def test_the_old_names_are_changed_and_nothing_else(tmp_path: Path) -> None:
    found = look(tmp_path, cog__yaml=OLD_CONFIG, predict__py=PREDICTOR)
    assert problems(found) == [("Deprecated predict interface names", "warning")] * 2
    fix, same = [one.fix for one in found if one.fix]
    assert fix is same, "one change mends both"
    before = read_api(find_project(tmp_path), load_config(find_project(tmp_path)), None).document("0")
    fix()
    assert (tmp_path / "cog.yaml").read_bytes().decode() == OLD_CONFIG.replace(
        "predict: 'predict.py:Predictor'", 'run: "run.py:Runner"'
    )
    assert not (tmp_path / "predict.py").exists()
    expected = PREDICTOR.replace("BasePredictor", "BaseRunner").replace("class Predictor", "class Runner")
    expected = expected.replace("def predict(self", "def run(self").replace("self.predict(", "self.run(")
    assert (tmp_path / "run.py").read_text() == expected
    assert problems(look(tmp_path)) == []
    after = read_api(find_project(tmp_path), load_config(find_project(tmp_path)), None).document("0")
    assert after == before


@pytest.mark.parametrize(
    ("files", "why"),
    [
        pytest.param(
            {"run__py": ""},
            "cannot migrate predict.py to run.py because run.py already exists",
            id="run-py-is-there",
        ),
        pytest.param(
            {"cog__yaml": "predict: model.py:Predictor\n"},
            "Manual migration required: automatic migration only supports predict.py:Predictor",
            id="other-file",
        ),
        pytest.param(
            {"cog__yaml": "run: run.py:Runner\npredict: predict.py:Predictor\n"},
            "automatic migration cannot run when run is already set",
            id="run-is-set",
        ),
        pytest.param(
            {"predict__py": "class Other: ..."},
            "cannot migrate predict.py because no legacy Predictor/BasePredictor/predict() names were found",
            id="other-class",
        ),
        pytest.param(
            {"predict__py": PREDICTOR + "class Runner: ..."},
            "Manual migration required: predict.py has the name Runner already",
            id="name-is-taken",
        ),
        pytest.param(
            {"predict__py": PREDICTOR + "def run(): ..."},
            "Manual migration required: predict.py has a function run already",
            id="method-is-taken",
        ),
        pytest.param({"predict__py": "class Predictor(("}, "it is not Python", id="not-python"),
    ],
)
def test_what_cannot_be_changed_without_asking(
    tmp_path: Path,
    files: dict[str, str],
    why: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, text in {"cog__yaml": OLD_CONFIG, "predict__py": PREDICTOR, **files}.items():
        (tmp_path / name.replace("__", ".")).write_text(text)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    first, *_ = migrate.findings(find_project(tmp_path))
    assert first.fix is not None
    with pytest.raises(CogNixError, match=re.escape(why)):
        first.fix()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    monkeypatch.chdir(tmp_path)
    assert run(["doctor", "--fix"]) == 1, "as upstream has it"
    assert f"{migrate.CHECK}: " in capfd.readouterr().err


def test_a_file_is_changed_before_it_is_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = "from cog.types import ExperimentalFeatureWarning\n"
    look(tmp_path, cog__yaml=OLD_CONFIG, predict__py=gone + PREDICTOR)
    monkeypatch.chdir(tmp_path)
    run(["doctor", "--fix"])
    assert (tmp_path / "run.py").read_text().count("class Runner") == 1
    assert problems(look(tmp_path)) == []


def test_a_predictor_that_is_not_there_cannot_be_moved(tmp_path: Path) -> None:
    (tmp_path / "cog.yaml").write_text(OLD_CONFIG)
    [found] = migrate.findings(find_project(tmp_path))
    assert found.fix is not None
    with pytest.raises(CogNixError, match=r"because predict\.py was not found"):
        found.fix()


def test_folders_of_others_are_left_out(tmp_path: Path) -> None:
    (tmp_path / ".venv/lib").mkdir(parents=True)
    (tmp_path / ".venv/lib/x.py").write_text("from cog.types import ExperimentalFeatureWarning")
    assert problems(look(tmp_path, cog__yaml=CONFIG, run__py=RUNNER)) == []


def test_a_lock_is_compared_with_what_is_asked_for(tmp_path: Path) -> None:
    look(tmp_path, cog__yaml=CONFIG, run__py=RUNNER)
    where = find_project(tmp_path)
    seed, python = (
        Seed("3.13", (), (), f"sha256-{'A' * 43}="),
        Interpreter("", "3.13.5", "/usr/bin/python3.13"),
    )
    layers = (("python", ("state:base", "venv")), ("source", ("source",)))
    empty = Lock("", "trixie", (), seed, python, (), (), (), (), (), layers=layers)
    fitting = replace(empty, inputs=digest(load_config(where), Settings(), tmp_path))
    for content, severity, words in (
        (lock_format.dump(empty), "error", "cog-nix.lock does not fit cog.yaml any more"),
        (lock_format.dump(fitting), "ok", "cog-nix.lock fits"),
        ("{", "error", "cog-nix.lock is not a lock file"),
    ):
        where.lock_path.write_text(content)
        found = project.lock(where, load_config(where), load_plugins())
        assert (found.check, found.severity) == ("Lock", severity)
        assert words in found.message
        assert severity == "ok" or "cog-nix" in found.remedy


def test_a_decorator_that_hides_defaults_is_told(tmp_path: Path) -> None:
    runner = RUNNER.replace("BaseRunner\n", "BaseRunner, Input\n").replace(
        "a: str", "a: str = Input(default='b')"
    )
    found = look(
        tmp_path, cog__yaml=CONFIG, run__py=runner.replace("    def", "    @torch.no_grad()\n    def")
    )
    (told,) = (one for one in found if one.check == "Inputs and outputs" and one.severity == "warning")
    assert told.message.startswith("run.py:5: if @torch.no_grad() wraps run(), ")
    assert "with torch.no_grad():" in told.message
