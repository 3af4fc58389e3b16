"""``cog-nix schema``, as a user runs it: no Nix, no Docker, no network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cog_nix import signature
from cog_nix.lock import format as lock_format
from cog_nix.lock.model import Artifact, Interpreter, Lock, Seed, Wheel
from conftest import cog_nix as started

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., subprocess.CompletedProcess[str]]

MODEL = """\
from cog import BaseRunner, Input


class Runner(BaseRunner):
    def run(self, name: str = Input(description="Whom")) -> str:
        return name
"""
CONFIG = 'build:\n  python_version: "3.13"\nrun: run.py:Runner\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "cog.yaml").write_text(CONFIG)
    (tmp_path / "run.py").write_text(MODEL)
    return tmp_path


def expected(project: Path, version: str = "0.23.1") -> str:
    return signature.document(project, "run.py:Runner", None, version)


def test_the_document_and_nothing_else(project: Path) -> None:
    done = started("schema", cwd=project)
    assert (done.returncode, done.stdout, done.stderr) == (0, expected(project), "")


def test_from_a_folder_below_with_another_config(project: Path, cog_nix: Command) -> None:
    (project / "cog.yaml").rename(project / "other.yaml")
    (project / "deep").mkdir()
    assert cog_nix(project / "deep", "schema", "-f", "other.yaml").stdout == expected(project)


@pytest.mark.parametrize(
    ("asked", "version"), [("0.22.0", "0.22.0"), ("prerelease", "0.23.1")], ids=["pinned", "prerelease"]
)
def test_without_a_lock_the_version_is_the_one_asked_for(
    project: Path, asked: str, version: str, cog_nix: Command
) -> None:
    (project / "cog.yaml").write_text(CONFIG.replace("run:", f'  sdk_version: "{asked}"\nrun:'))
    assert cog_nix(project, "schema").stdout == expected(project, version)


def test_with_a_lock_the_version_is_the_locked_one(project: Path, cog_nix: Command) -> None:
    wheel = Wheel(
        "cog", "0.21.9", Artifact("cog-0.21.9-py3-none-any.whl", "https://example.org/c.whl", "0" * 64, 1)
    )
    lock = Lock(
        inputs="sha256:0",
        suite="trixie",
        indexes=(),
        seed=Seed("3.13", (), (), f"sha256-{'A' * 43}="),
        interpreter=Interpreter("debian", "3.13.5", "/usr/bin/python3.13"),
        base=(),
        essential=(),
        python=(),
        system=(),
        wheels=(wheel,),
        layers=(("python", ("state:base", "venv")), ("sdk", ("wheel:cog",)), ("source", ("source",))),
    )
    lock_format.write(lock, project / "cog-nix.lock")
    assert json.loads(cog_nix(project, "schema").stdout)["info"]["version"] == "0.21.9"


def test_the_document_of_the_environment(project: Path, cog_nix: Command) -> None:
    text = expected(project).replace("Whom", "Who") + "\n"
    (project / "own.json").write_text(text)
    assert cog_nix(project, "schema", COG_OPENAPI_SCHEMA="own.json").stdout == text


def test_check_of_the_same_bytes_is_silent(project: Path, cog_nix: Command) -> None:
    (project / "openapi.json").write_text(expected(project))
    done = cog_nix(project, "schema", "--check", "openapi.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_check_of_other_bytes_says_so(project: Path, cog_nix: Command) -> None:
    value = json.loads(expected(project))
    shuffled = dict(reversed(value.items()))
    (project / "openapi.json").write_text(json.dumps(shuffled, indent=4))
    done = cog_nix(project, "schema", "--check", "openapi.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "openapi.json has the same document, written differently\n"


def test_check_shows_what_differs(project: Path, cog_nix: Command) -> None:
    (project / "openapi.json").write_text(expected(project).replace("Whom", "Who"))
    done = cog_nix(project, "schema", "--check", "openapi.json")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[:2] == ["--- openapi.json", "+++ this model"]
    assert [line.strip() for line in lines if line[0] in "-+"][2:] == [
        '-            "description": "Who",',
        '+            "description": "Whom",',
    ]
    assert "openapi.json is not the OpenAPI document of this model" in done.stderr
    assert done.stderr.endswith("cog-nix schema > openapi.json\n")


def test_check_tells_true_from_one(project: Path, cog_nix: Command) -> None:
    text = expected(project).replace('"x-order":0', '"x-order":false')
    (project / "openapi.json").write_text(text)
    assert cog_nix(project, "schema", "--check", "openapi.json").returncode == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, ": cannot be read: No such file"), ("{", " is not JSON"), ("\xff", " is not JSON")],
)
def test_check_of_a_file_that_is_none(
    project: Path, content: str | None, said: str, cog_nix: Command
) -> None:
    if content is not None:
        (project / "openapi.json").write_bytes(content.encode("latin-1"))
    done = cog_nix(project, "schema", "--check", "openapi.json")
    assert done.returncode == 1
    assert f"error: openapi.json{said}" in done.stderr


@pytest.mark.parametrize(
    ("config", "model", "said"),
    [
        ("build: 3\n", MODEL, "cog.yaml:1: build must be a mapping"),
        (CONFIG, "class Runner:\n    def run(self): return 1\n", "missing return type"),
        (CONFIG.replace("run: run.py:Runner", ""), MODEL, "no predict or train reference found"),
        (CONFIG.replace("run:", "  sdk_version: 0.16.5\nrun:"), MODEL, "not supported by static schema"),
    ],
    ids=["config", "source", "no-reference", "old-sdk"],
)
def test_what_is_wrong_is_told(project: Path, config: str, model: str, said: str, cog_nix: Command) -> None:
    (project / "cog.yaml").write_text(config)
    (project / "run.py").write_text(model)
    done = cog_nix(project, "schema")
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_project(tmp_path: Path, cog_nix: Command) -> None:
    done = cog_nix(tmp_path, "schema")
    assert done.returncode == 1
    assert "cog.yaml not found" in done.stderr
