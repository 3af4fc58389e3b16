"""``cog-nix verify`` with the real Nix: the same, something else, and what cannot be compared."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from .conftest import Folder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.nix, pytest.mark.network]

COMMANDS = """\
build:
  python_version: "3.13"
  run:
    - echo made > /made
    - date +%s%N > /stamp
run: "run.py:Runner"
"""


@pytest.mark.slow
def test_with_all_that_this_machine_has_otherwise_it_is_the_same(hello: Folder, tmp_path: Path) -> None:
    statement = tmp_path / "statement.json"
    ran = hello.run("verify", "--vary", "--json", "--statement", str(statement))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)
    assert found["same"]
    assert all(one["same"] and not one["configuration"] for one in found["builds"])
    titles = " ".join(one["title"] for one in found["builds"])
    assert "TZ=Pacific/Chatham" in titles
    assert "umask 077" in titles
    if not any(one.startswith("user") for one in found["not_varied"]):
        assert "user 4711" in titles
    said = json.loads(statement.read_text())
    assert said["predicate"]["result"] == "PASSED"
    assert said["subject"][0]["digest"]["sha256"] == found["id"].removeprefix("sha256:")
    assert not (hello.path / "result").exists(), "nothing is left behind"


@pytest.mark.slow
def test_an_image_of_other_source_differs_in_that_file(hello: Folder, registry: str, tmp_path: Path) -> None:
    image = f"{registry}/verified:v1"
    ran = hello.run("push", image)
    assert ran.returncode == 0, ran.stderr
    source = hello.path / "run.py"
    before = source.read_bytes()
    source.write_bytes(before + b"# edited\n")
    statement = tmp_path / "statement.json"
    ran = hello.run("verify", f"docker://{image}", "--statement", str(statement))
    assert ran.returncode == 3, ran.stdout + ran.stderr
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert ["manifest", "differs"] in lines
    assert ["configuration", "same"] in lines
    assert ["layer", "source", "differs"] in lines
    assert f"src/run.py: size {len(before)} and {len(before) + 9}; bytes {len(before)} to" in ran.stdout
    predicate = json.loads(statement.read_text())["predicate"]
    assert predicate["result"] == "FAILED"
    assert [name.rpartition(": ")[2] for name in predicate["failedTests"]] == ["layer source"]


@pytest.mark.slow
def test_a_stranger_needs_the_image_and_its_repository(hello: Folder, registry: str, tmp_path: Path) -> None:
    image = f"{registry}/stranger:v1"
    (hello.path / ".gitignore").write_text("result\n.cog/\n")
    git = ["git", "-C", str(hello.path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"], ["tag", "v1"]):
        subprocess.run([*git, *words], check=True)
    ran = hello.run("push", image, "--annotation", "org.example.team=vision")
    assert ran.returncode == 0, ran.stderr
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    (hello.path / "run.py").write_text("# what is there now does not count\n")
    elsewhere = Folder(tmp_path / "elsewhere")
    elsewhere.path.mkdir()

    ran = elsewhere.run("verify", image)
    assert (ran.returncode, "--source URL" in ran.stderr) == (4, True)

    statement = tmp_path / "statement.json"
    words = ["--source", str(hello.path), "--annotation", "org.example.team=vision"]
    ran = elsewhere.run("verify", image, *words, "--statement", str(statement))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ["manifest", "same"] in [line.split() for line in ran.stdout.splitlines()]
    assert "Label org.opencontainers.image.version is taken from the image: v1" in ran.stderr
    assert "org.example.team is taken" not in ran.stderr
    source = json.loads(statement.read_text())["predicate"]["configuration"][-1]
    assert source["digest"] == {"gitCommit": commit}
    assert source["uri"] == f"git+{hello.path.as_uri()}"


@pytest.mark.slow
def test_a_command_that_leaves_something_else_shows_in_its_layer(hello: Folder) -> None:
    (hello.path / "cog.yaml").write_text(COMMANDS)
    ran = hello.run("build", "--no-load", "--update-lock")
    assert ran.returncode == 0, ran.stderr
    lock = (hello.path / "cog-nix.lock").read_bytes()
    ran = hello.run("verify", "--user", "4711", "--locale", "C")
    assert ran.returncode == 3, ran.stdout + ran.stderr
    lines = [line.split()[:3] for line in ran.stdout.splitlines()]
    assert ["layer", "run-0", "same"] in lines
    assert ["layer", "run-1", "differs"] in lines
    assert "  stamp: bytes " in ran.stdout
    assert (hello.path / "cog-nix.lock").read_bytes() == lock
    ran = hello.run("archive", "../archive")
    assert ran.returncode == 0, ran.stderr
    ran = hello.run("verify", "--from", "../archive")
    assert (ran.returncode, "The same, bit for bit" in ran.stdout) == (0, True), ran.stdout + ran.stderr


def test_a_label_that_nobody_here_can_know_is_asked_for(hello: Folder, tmp_path: Path) -> None:
    """It is taken from the image and told; one that the user names has to be the image's."""
    archive = tmp_path / "image.tar"
    ran = hello.run("build", "-o", str(archive), "--annotation", "org.example.team=vision")
    assert ran.returncode == 0, ran.stderr
    ran = hello.run("verify", str(archive), "--annotation", "org.example.team=other")
    assert ran.returncode == 3, ran.stdout + ran.stderr
    assert 'config.Labels.org.example.team: the image has "vision"' in ran.stdout
    assert 'config.Labels.org.example.team: rebuilt has "other"' in ran.stdout


def test_what_cannot_be_compared_has_a_status_of_its_own(hello: Folder) -> None:
    ran = hello.run("verify", "./missing.tar")
    assert (ran.returncode, ran.stdout) == (4, "")
    assert "there is no such file" in ran.stderr
    ran = hello.run("verify", "--umask", "9")
    assert ran.returncode == 4
    assert "--umask 9: expected an octal number." in ran.stderr
    (hello.path / "cog-nix.lock").unlink()
    ran = hello.run("verify")
    assert ran.returncode == 4
    assert "There is no cog-nix.lock yet." in ran.stderr


def test_a_build_that_fails_is_not_compared_and_says_why(hello: Folder) -> None:
    (hello.path / "cog.yaml").write_text(COMMANDS)
    ran = hello.run("verify", str(hello.path / "cog.yaml"))
    assert ran.returncode == 4
    assert "neither an image" in ran.stderr


def test_a_preview_writes_nothing_and_says_what_would_change(hello: Folder) -> None:
    (hello.path / "cog.yaml").write_text(
        'build:\n  python_version: "3.13"\n  system_packages: [figlet]\nrun: "run.py:Runner"\n'
    )
    lock = (hello.path / "cog-nix.lock").read_bytes()
    ran = hello.run("lock", "--upgrade", "--dry-run")
    assert ran.returncode == 0, ran.stderr
    assert "figlet is asked for in cog.yaml:3" in ran.stdout
    assert "to fetch" in ran.stdout
    assert (hello.path / "cog-nix.lock").read_bytes() == lock
    ran = hello.run("lock", "--dry-run", "--explain", "figlet")
    assert ran.returncode == 1


def test_a_lock_and_the_image_that_was_built_by_it_say_the_same(hello: Folder, tmp_path: Path) -> None:
    archive = str(tmp_path / "image.tar")
    ran = hello.run("build", "-o", archive)
    assert ran.returncode == 0, ran.stderr
    ran = hello.run("diff", "cog-nix.lock", archive, "--exit-code")
    assert (ran.returncode, ran.stdout) == (0, f"No change from cog-nix.lock to {archive}.\n")
    (hello.path / "run.py").write_text("# nothing\n" + (hello.path / "run.py").read_text())
    other = str(tmp_path / "other.tar")
    assert hello.run("build", "-o", other).returncode == 0
    ran = hello.run("diff", archive, other, "--exit-code", "--json")
    assert ran.returncode == 3
    found = json.loads(ran.stdout)
    assert found["packages"] == []
    assert len(found["layers"]["changed"]) == 1
    ran = hello.run("diff", "missing.lock", archive)
    assert ran.returncode == 1
