"""What the doctor sees in a project, and what it changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cog_nix.build.interface import read_api
from cog_nix.config import load_config
from cog_nix.config.model import Settings
from cog_nix.doctor import migrate, project
from cog_nix.errors import CogNixError
from cog_nix.lock import format as lock_format
from cog_nix.lock.model import Interpreter, Lock, Seed
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
    return list(project.examine(find_project(root)))


def problems(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.check, one.severity) for one in findings if one.severity != "ok"]


def test_a_right_project(tmp_path: Path) -> None:
    found = look(tmp_path, cog__yaml=CONFIG, run__py=RUNNER)
    assert [(one.check, one.severity) for one in found] == [
        ("configuration", "ok"),
        ("predictor", "ok"),
        ("lock", "ok"),
    ]
    assert "the first build makes it" in found[-1].message


@pytest.mark.parametrize(
    ("files", "check", "message"),
    [
        pytest.param({"cog__yaml": "build: ["}, "configuration", "cog.yaml", id="no-yaml"),
        pytest.param({"cog__yaml": "build:\n  gpu: 7\n"}, "configuration", "cog.yaml:2", id="wrong-type"),
        pytest.param({"run__py": "class Other: ..."}, "predictor", "Runner", id="no-such-class"),
        pytest.param({"run__py": RUNNER.replace(" -> str", "")}, "predictor", "run.py", id="no-return-type"),
        pytest.param(
            {"other__py": "import os\nfrom cog.types import ExperimentalFeatureWarning\n"},
            "imports",
            "other.py:2: ExperimentalFeatureWarning cannot be imported",
            id="gone-from-cog",
        ),
        pytest.param(
            {
                "other__py": "from pydantic import BaseModel as B\n\nclass Output(B):\n"
                "    model_config = dict(arbitrary_types_allowed=True)\n"
            },
            "output classes",
            "other.py:3: Output is pydantic's BaseModel with arbitrary_types_allowed",
            id="workaround",
        ),
    ],
)
def test_what_is_wrong(tmp_path: Path, files: dict[str, str], check: str, message: str) -> None:
    found = look(tmp_path, **{"cog__yaml": CONFIG, "run__py": RUNNER, **files})
    assert problems(found) == [(check, "error")]
    [one] = [one for one in found if one.severity == "error"]
    assert message in one.message
    assert one.remedy


def test_the_old_names_are_changed_and_nothing_else(tmp_path: Path) -> None:
    found = look(tmp_path, cog__yaml=OLD_CONFIG, predict__py=PREDICTOR)
    assert problems(found) == [("names", "warning")]
    [fix] = [one.fix for one in found if one.fix]
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
        pytest.param({"run__py": ""}, "There is a run.py already", id="run-py-is-there"),
        pytest.param(
            {"cog__yaml": "predict: model.py:Predictor\n"}, "Only predict.py:Predictor", id="other-file"
        ),
        pytest.param({"predict__py": "class Other: ..."}, "no class Predictor", id="other-class"),
        pytest.param({"predict__py": PREDICTOR + "class Runner: ..."}, "the new names", id="name-is-taken"),
        pytest.param({"predict__py": PREDICTOR + "def run(): ..."}, "a function run", id="method-is-taken"),
        pytest.param({"predict__py": "class Predictor(("}, "is not Python", id="no-python"),
    ],
)
def test_what_cannot_be_changed_without_asking(tmp_path: Path, files: dict[str, str], why: str) -> None:
    for name, text in {"cog__yaml": OLD_CONFIG, "predict__py": PREDICTOR, **files}.items():
        (tmp_path / name.replace("__", ".")).write_text(text)
    found = migrate.finding(find_project(tmp_path))
    assert found is not None
    assert found.fix is None
    assert why in found.remedy
    with pytest.raises(CogNixError):
        migrate.apply(find_project(tmp_path))
    assert (tmp_path / "predict.py").exists()


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
        found = project.lock(where, load_config(where))
        assert (found.check, found.severity) == ("lock", severity)
        assert words in found.message
        assert severity == "ok" or "cog-nix" in found.remedy


def test_a_decorator_that_hides_defaults_is_told(tmp_path: Path) -> None:
    runner = RUNNER.replace("BaseRunner\n", "BaseRunner, Input\n").replace(
        "a: str", "a: str = Input(default='b')"
    )
    found = look(
        tmp_path, cog__yaml=CONFIG, run__py=runner.replace("    def", "    @torch.no_grad()\n    def")
    )
    (told,) = (one for one in found if one.check == "predictor" and one.severity == "warning")
    assert told.message.startswith("run.py:5: if @torch.no_grad() wraps run(), ")
    assert "with torch.no_grad():" in told.message
