"""What can run containers here: it is tried, remembered, and said with its cause."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import FetchError
from cog_nix.namespaces.causes import Obstacle
from cog_nix_hooks.bundle import checks, choice, probe, rootfs
from cog_nix_hooks.bundle.choice import Engine, decide
from cog_nix_hooks.bundle.folders import new_name, owned
from cog_nix_hooks.bundle.programs import ENGINES, Programs, program
from cog_nix_hooks.bundle.runtime import BundleRuntime

from .conftest import usable

if TYPE_CHECKING:
    from pathlib import Path

HELPERS = ("sh", "mount", "unshare", "setpriv", "tar", "cat")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds all programs that are found, none of which is an engine."""
    folder = tmp_path / "machine"
    folder.mkdir()
    for name in HELPERS:
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("cog_nix_hooks.bundle.programs._ADMIN_PATH", str(folder))
    return folder


def write_engine(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", ENGINES)
def test_each_engine_works_here_by_itself(name: str, machine: Path, tmp_path: Path) -> None:
    """Whatever cgroups this machine has: crun does not start where it sees both versions of them."""
    real = shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin")
    assert real, f"{name} is not installed"
    (machine / name).symlink_to(real)
    found = decide(tmp_path / "bundle", Programs())
    assert isinstance(found, Engine), found
    assert found.path == str(machine / name)


def test_an_engine_that_starts_nothing_is_passed_over(machine: Path, tmp_path: Path) -> None:
    write_engine(machine / "crun", "echo this kernel is too old >&2; exit 1")
    runtime = BundleRuntime(tmp_path / "bundle")
    assert runtime.available() == (
        "crun starts no container here: this kernel is too old "
        "What helps: sudo apt-get install runc bubblewrap"
    )
    write_engine(machine / "runc", "exit 0")
    found = decide(tmp_path / "bundle", Programs())
    assert isinstance(found, Engine)
    assert found.path == str(machine / "runc")


def test_what_an_engine_refuses_is_hidden_from_it(machine: Path, tmp_path: Path) -> None:
    write_engine(machine / "crun", 'for one in /sys/fs/cgroup/*; do [ ! -e "$one" ] || exit 1; done')
    found = decide(tmp_path / "bundle", Programs())
    assert isinstance(found, Engine)
    assert found.isolation.hidden == "/sys/fs/cgroup"


def test_what_worked_is_remembered_until_something_changes(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = write_engine(machine / "crun", "exit 0")
    first = decide(tmp_path / "bundle", Programs())
    monkeypatch.setattr(probe, "failure", lambda *_: "it was tried again")
    assert decide(tmp_path / "bundle", Programs()) == first
    os.utime(engine, (1, 1))
    assert isinstance(decide(tmp_path / "bundle", Programs()), tuple)
    (tmp_path / "bundle/engine.json").write_text("[")
    assert isinstance(decide(tmp_path / "bundle", Programs()), tuple)


def test_what_is_missing_is_named(machine: Path, tmp_path: Path) -> None:
    said = BundleRuntime(tmp_path / "bundle").available()
    assert said == ("None of crun, runc and bubblewrap is installed. What helps: sudo apt-get install crun")
    (machine / "unshare").unlink()
    said = BundleRuntime(tmp_path / "bundle").available()
    assert said is not None
    assert said.startswith("A container cannot be started without unshare")


@pytest.mark.parametrize("missing", [(), ("unshare", "setpriv", "mount")], ids=["engine", "all"])
def test_what_is_missing_is_brought(missing: tuple[str, ...], machine: Path, tmp_path: Path) -> None:
    brought = tmp_path / "brought"
    brought.mkdir()
    for name in missing:
        (machine / name).rename(brought / name)
    (brought / "bwrap").symlink_to(str(shutil.which("bwrap", path="/usr/bin")))
    programs = Programs(lambda: brought)
    found = decide(tmp_path / "bundle", programs)
    assert isinstance(found, Engine)
    assert found.path == str(brought / "bwrap")
    assert found.isolation.unshare == str((brought if missing else machine) / "unshare")
    assert programs.path("mount") == str((brought if missing else machine) / "mount")


def test_nothing_is_brought_where_the_machine_has_an_engine(machine: Path, tmp_path: Path) -> None:
    write_engine(machine / "runc", "exit 0")

    def bring() -> Path:
        pytest.fail("fetched")

    assert isinstance(decide(tmp_path / "bundle", Programs(bring)), Engine)


@pytest.mark.usefixtures("machine")
def test_what_cannot_be_brought_is_told(tmp_path: Path) -> None:
    def bring() -> Path:
        raise FetchError("The archive does not answer.", hint="Try again.")

    said = BundleRuntime(tmp_path / "bundle", bring=bring).available()
    assert said is not None
    assert said.startswith("None of crun, runc and bubblewrap is installed.")
    assert said.endswith("cannot be fetched: The archive does not answer. What helps: Try again.")


@pytest.mark.parametrize("installed", [True, False], ids=["with-an-engine", "without"])
def test_where_namespaces_are_forbidden_no_engine_is_blamed_or_fetched(
    installed: bool,  # noqa: FBT001
    machine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (machine / "unshare").unlink()
    write_engine(machine / "unshare", "echo unshare failed: No space left on device >&2; exit 1")
    if installed:
        write_engine(machine / "crun", "exit 0")
    obstacle = Obstacle("setting", "They are forbidden.", "sudo sysctl -w allowed=1")
    monkeypatch.setattr(choice, "why_no_namespaces", lambda: obstacle)
    assert decide(tmp_path / "bundle", Programs(lambda: pytest.fail("fetched"))) == (obstacle,)
    monkeypatch.setattr(choice, "why_no_namespaces", lambda: None)
    [unknown] = decide(tmp_path / "bundle", Programs())  # type: ignore[misc]
    assert "No space left on device" in unknown.message


def test_the_doctor_says_the_same_and_fetches_nothing(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path))
    [found] = checks.diagnose()
    assert (found.check, found.severity) == ("Containers", "ok")
    assert "cog-nix fetches bubblewrap" in found.message
    write_engine(machine / "crun", "echo no >&2; exit 1")
    [found] = checks.diagnose()
    assert (found.severity, found.remedy) == ("warning", "sudo apt-get install runc bubblewrap")
    write_engine(machine / "runc", "exit 0")
    [found] = checks.diagnose()
    assert (found.severity, found.message) == (
        "ok",
        f"{machine}/runc runs containers without a daemon",
    )


def test_a_trial_leaves_nothing(tmp_path: Path) -> None:
    assert probe.failure(usable("bwrap"), rootfs.Isolation(), tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    assert program("no-such-engine") is None


def test_an_engine_that_does_not_end_is_passed_over(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_SECONDS", 0.2)
    (machine / "sleep").symlink_to(str(shutil.which("sleep", path="/bin:/usr/bin")))
    said = probe.failure(str(write_engine(machine / "crun", "sleep 60")), rootfs.Isolation(), tmp_path)
    assert said == "it has not come to an end after 0.2 seconds"


def test_an_engine_that_a_container_gets_hold_of_cannot_be_written_to(machine: Path, tmp_path: Path) -> None:
    """The first process of bubblewrap's was bubblewrap: ``/proc/self/exe`` leads to the machine's file."""
    engine = write_engine(machine / "bwrap", "exit 0")
    found = decide(tmp_path / "bundle", Programs())
    assert isinstance(found, Engine)
    assert found.isolation.guarded == str(machine)
    with owned(tmp_path / "containers", new_name()) as folder:
        command = rootfs.prepare(folder, [], "copy", found.isolation)
        tried = subprocess.run(
            [*command, "sh", "-c", f"echo > {engine}"], capture_output=True, text=True, check=False
        )
    assert "Read-only file system" in tried.stderr
    (machine / "bwrap").rename(machine / "crun")
    found = decide(tmp_path / "bundle", Programs())
    assert isinstance(found, Engine)
    assert found.isolation.guarded == ""  # it runs as a copy of itself


def test_all_of_an_engine_that_is_brought_is_guarded(tmp_path: Path) -> None:
    for name in ("bin", "lib", "programs"):
        (tmp_path / name).mkdir()
    assert choice._exposed(str(tmp_path / "bin/bwrap")) == str(tmp_path)
