"""Images with Pythons that Cog has given up: built with the real Nix, checked and run in Docker."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.check import all_cases
from cog_nix_hooks.docker.runtime import DockerRuntime

from .repackage import repackage

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Mirror

pytestmark = [pytest.mark.nix, pytest.mark.network, pytest.mark.docker]

ROOT = Path(__file__).resolve().parents[3]
_TAG = "cog-nix-test-legacy"
_PREDICTOR = """
import platform
from distutils.version import LooseVersion

import walrus
from cog import BaseModel, BasePredictor, Input


class TrainingOutput(BaseModel):
    epochs: int


def train(epochs: int = Input(default=1, ge=1)) -> TrainingOutput:
    return TrainingOutput(epochs=epochs)


class Predictor(BasePredictor):
    def predict(
        self,
        text: str = Input(description="Whom to greet"),
        seed: int = Input(default=None),
        size: str = Input(default="s", choices=["s", "l"]),
    ) -> str:
        print(f"size {size}, seed {seed}")
        return f"{walrus.GREETING} {text} from {platform.python_version()}"
"""
_SETUP = """
from distutils.core import setup

setup(name="walrus", version="1.0", py_modules=["walrus"], python_requires="<3.10")
"""
_INFO = "Metadata-Version: 2.1\nName: walrus\nVersion: 1.0\nRequires-Python: <3.10\n"
_CASES = [
    *sorted(case.name for case in all_cases() if case.before_coglet),
    *("image-labels", "pip-freeze", "root-training", "schema-agrees", "unknown-input"),
]


def _cog_nix(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    modules = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    return subprocess.run(
        [sys.executable, "-m", "cog_nix", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": modules, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _interpreter(minor: str) -> Path:
    """Return a CPython of this machine that can be made an archive of."""
    pyenv = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{minor}.*/bin/python{minor}"))
    found = next(iter(pyenv), shutil.which(f"python{minor}"))
    if found is None:
        pytest.skip(f"no CPython {minor} here to make an archive of")
    return Path(found)


def _project(folder: Path, python: str, settings: str = "") -> Path:
    members = {"setup.py": _SETUP, "walrus.py": 'GREETING = "hello"\n', "PKG-INFO": _INFO}
    with tarfile.open(folder / "walrus-1.0.tar.gz", "w:gz") as tar:
        for name, text in members.items():
            member = tarfile.TarInfo(f"walrus-1.0/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    (folder / "requirements.txt").write_text("./walrus-1.0.tar.gz\n")
    (folder / "cog.yaml").write_text(
        f'build:\n  python_version: "{python}"\n  python_requirements: requirements.txt\n'
        "predict: predict.py:Predictor\ntrain: predict.py:train\n"
    )
    (folder / "cog-nix.toml").write_text(f"[python]\nlegacy = true\n{settings}")
    (folder / "predict.py").write_text(_PREDICTOR)
    return folder


@pytest.fixture(scope="module")
def project(start_mirror: Callable[[], Mirror], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with Python 3.8, whose image is built."""
    folder = tmp_path_factory.mktemp("project")
    archive = repackage(_interpreter("3.8"), folder.with_name("cpython.tar.gz"))
    mirror = start_mirror()
    mirror.add(archive.version, archive.path.read_bytes())
    built = _cog_nix(_project(folder, "3.8"), "build", "-t", f"{_TAG}-38", **mirror.environment)
    assert built.returncode == 0, built.stderr
    assert "deprecated" not in built.stderr
    return folder


def test_the_lock_has_the_last_sdk_and_says_why(project: Path) -> None:
    lock = json.loads((project / "cog-nix.lock").read_text())
    versions = {wheel["name"]: wheel["version"] for wheel in lock["wheels"]}
    assert versions["cog"] == "0.16.12"
    assert "coglet" not in versions
    assert lock["suite"] == "bookworm"
    explained = _cog_nix(project, "lock", "--explain", "cog")
    assert "the last that runs on Python 3.8 ([python] legacy in cog-nix.toml)" in explained.stdout


def test_the_model_predicts_and_trains(project: Path) -> None:
    predicted = _cog_nix(project, "predict", f"{_TAG}-38", "-i", "text=Ada", "-i", "size=l")
    assert predicted.stdout.startswith("hello Ada from 3.8."), predicted.stderr
    assert "size l, seed None" in predicted.stderr
    assert "uvicorn" not in predicted.stderr
    refused = _cog_nix(project, "predict", f"{_TAG}-38", "-i", "text=Ada", "-i", "size=m")
    assert refused.returncode == 1
    trained = _cog_nix(project, "train", f"{_TAG}-38", "-i", "epochs=3", "-o", "trained.json")
    assert trained.returncode == 0, trained.stderr
    assert json.loads((project / "trained.json").read_text()) == {"epochs": 3}


def test_the_image_keeps_the_promises_of_its_sdk(project: Path) -> None:
    cases = [name for case in _CASES for name in ("--case", case)]
    checked = _cog_nix(project, "check", f"{_TAG}-38", "--json", *cases)
    results = {result["case"]: result for result in json.loads(checked.stdout)}
    broken = {name: result["detail"] for name, result in results.items() if result["outcome"] == "fail"}
    assert not broken
    assert results["schema-agrees"]["detail"] == ""
    assert results["versions-agree"]["detail"] == (
        "cog 0.16.12: its OpenAPI document does not name a version of Cog"
    )


def test_debian_11_is_taken_where_no_build_can_be_had(tmp_path: Path) -> None:
    """The same project on Debian's own Python 3.9: what a machine without a mirror gets."""
    nowhere = {"UV_PYTHON_INSTALL_MIRROR": (tmp_path / "nothing").as_uri()}
    folder = tmp_path / "project"
    folder.mkdir()
    built = _cog_nix(_project(folder, "3.9"), "build", "-t", f"{_TAG}-39", **nowhere)
    assert built.returncode == 0, built.stderr
    assert "Debian bullseye has a Python 3.9 of its own" in built.stderr
    predicted = _cog_nix(folder, "predict", f"{_TAG}-39", "-i", "text=Ada")
    assert predicted.stdout.startswith("hello Ada from 3.9.2"), predicted.stderr
    labels: dict[str, Any] = DockerRuntime().image_labels(f"{_TAG}-39")
    assert labels["run.cog.version"] == "0.16.12"
    again = _cog_nix(folder, "lock")
    assert "bullseye" not in again.stderr, "what is locked stays, and nobody is asked"
