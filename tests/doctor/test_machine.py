"""What the doctor sees of a machine, with machines that lack something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.cli import app as command_line
from cog_nix.cli.app import run
from cog_nix.doctor import machine
from cog_nix.namespaces import emulation
from cog_nix.namespaces.causes import Obstacle
from cog_nix.plugins import manager as plugins
from cog_nix.plugins.spec import Finding, hookimpl
from cog_nix.system.platforms import ARM64, BUILDER
from cog_nix_hooks.docker import checks as docker

if TYPE_CHECKING:
    from collections.abc import Iterable


def test_without_nix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("cog_nix.store.choice.PROFILES", ())
    first, *_ = machine.examine(tmp_path)
    assert (first.check, first.severity) == ("Nix", "error")
    assert "apt-get install nix-bin" in first.remedy


def test_without_nix_where_one_can_be_brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("cog_nix.store.choice.PROFILES", ())
    first, *_ = machine.examine(tmp_path, brings=True)
    assert (first.check, first.severity) == ("Nix", "ok")
    assert first.message.startswith("There is none on this machine. cog-nix uses its own, ")
    old = tmp_path / "nix-build"
    old.write_text("#!/bin/sh\necho 'nix-build (Nix) 2.6.0'\n")
    old.chmod(0o755)
    first, *_ = machine.examine(tmp_path, brings=True)
    assert first.message == (
        f"{old} is Nix 2.6.0, and cog-nix needs 2.8 or newer. cog-nix uses its own, with a store of your own"
    )


def test_a_nix_that_is_used_is_told_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nix-build", "nix-store"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'nix-build (Nix) 2.26.3'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("COG_NIX_NIX", str(tmp_path))
    first, *_ = machine.examine(tmp_path / "cache")
    assert first.message.startswith(f"nix-build (Nix) 2.26.3 ({tmp_path}/nix-build, named by COG_NIX_NIX), ")


@pytest.mark.parametrize(
    ("platforms", "needed", "runs", "severities"),
    [
        ((), True, False, ["error"]),
        ((), False, False, ["warning"]),
        ((), True, True, ["ok"]),
        (("linux/arm64",), True, False, []),
        (("linux/amd64", "linux/arm64"), True, False, ["warning"]),
    ],
    ids=["usual-one", "no-project", "emulated", "for-this-machine", "one-of-two"],
)
def test_a_machine_that_runs_no_programs_of_the_image(
    monkeypatch: pytest.MonkeyPatch,
    platforms: tuple[str, ...],
    needed: bool,  # noqa: FBT001
    runs: bool,  # noqa: FBT001
    severities: list[str],
) -> None:
    monkeypatch.setattr(machine, "BUILDER", ARM64)
    monkeypatch.setattr(emulation, "host_platform", lambda: ARM64)
    monkeypatch.setattr(emulation, "_runs", lambda _: runs)
    monkeypatch.setattr(emulation, "_is_bound", lambda _: False)
    found = list(machine.emulators(platforms, needed=needed))
    assert [one.severity for one in found] == severities
    assert all("linux/amd64" in one.message for one in found)
    assert all("cog-nix build --platform linux/arm64" in one.remedy for one in found if not runs)


def test_user_namespaces_that_do_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.namespaces("daemon").severity == "ok"
    obstacle = Obstacle("setting", "They are forbidden.", "sudo sysctl -w allowed=1")
    monkeypatch.setattr(machine, "why_no_namespaces", lambda: obstacle)
    found = machine.namespaces("daemon")
    assert (found.severity, found.message, found.remedy) == ("error", obstacle.message, obstacle.remedy)


def test_a_full_disk(tmp_path: Path) -> None:
    [full] = machine.disk("cache", tmp_path / "not" / "there", room=1 << 70)
    [roomy] = machine.disk("cache", tmp_path, room=0)
    assert (full.severity, roomy.severity) == ("warning", "ok")
    assert f"rm -r {tmp_path / 'not' / 'there'}" in full.remedy


@pytest.mark.parametrize(
    ("info", "has_driver", "severities"),
    [
        pytest.param({}, False, {"Docker": "ok", "GPU compatibility": "ok"}, id="plain"),
        pytest.param({}, True, {"Docker": "ok", "GPU compatibility": "warning"}, id="driver-without-toolkit"),
        pytest.param(
            {"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]},
            True,
            {"Docker": "ok", "GPU compatibility": "ok"},
            id="cdi",
        ),
        pytest.param(
            {"CDISpecDirs": ["/nowhere"]},
            True,
            {"Docker": "ok", "GPU compatibility": "warning"},
            id="cdi-without-gpus",
        ),
        pytest.param(
            {"Runtimes": {"nvidia": {}}}, True, {"Docker": "ok", "GPU compatibility": "ok"}, id="gpu"
        ),
        pytest.param(
            {"Architecture": "riscv64"},
            False,
            {"Docker": "warning", "GPU compatibility": "ok"},
            id="another-processor",
        ),
    ],
)
def test_docker(
    info: dict[str, Any],
    has_driver: bool,  # noqa: FBT001
    severities: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(docker.SKIP_GPU, raising=False)
    monkeypatch.setattr(docker, "_ROOM", 0)  # this machine's disk may be full
    answer = {"ServerVersion": "1", "Driver": "overlay2", "Architecture": BUILDER.machine, **info}
    found = {one.check: one.severity for one in docker.describe(answer, has_driver=has_driver)}
    assert found == severities


def test_docker_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'nothing'}")
    monkeypatch.delenv(docker.SKIP, raising=False)
    [found] = docker.diagnose()
    assert (found.check, found.severity) == ("Docker", "warning")
    assert found.remedy
    monkeypatch.setenv(docker.SKIP, "1")
    assert list(docker.diagnose()) == []


def test_nix_in_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "why_no_namespaces", lambda: Obstacle("filter", "It cannot be.", "Do this."))
    [found] = [machine.namespaces("own", lambda: "Docker")]
    assert (found.severity, found.message) == ("ok", "It cannot be. Builds run in a container (Docker).")
    assert machine.namespaces("own", lambda: None).severity == "error"
    monkeypatch.setenv("COG_NIX_NIX", "container")
    asked, *_ = machine.examine(tmp_path, container=lambda: "Podman")
    assert (asked.severity, asked.message) == ("ok", "COG_NIX_NIX asks for a container: it runs in Podman")
    assert next(iter(machine.examine(tmp_path))).severity == "error"


class _Sees:
    def __init__(self, *findings: Finding) -> None:
        self.findings = findings

    @hookimpl
    def diagnose(self) -> Iterable[Finding]:
        return self.findings


@pytest.fixture
def machine_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Let the doctor see these findings and nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "examine", lambda _cache, **_: iter(()))

    def install(*findings: Finding) -> None:
        loaded = plugins.load({"COG_NIX_PLUGINS": "0"})
        for name in plugins.BUILT_IN:
            loaded.manager.unregister(name=name)
        loaded.manager.register(_Sees(*findings))
        monkeypatch.setattr(command_line, "load_plugins", lambda: loaded)

    return install


def test_the_command(machine_with: Any, capfd: pytest.CaptureFixture[str]) -> None:
    calls: list[int] = []
    machine_with(
        Finding("a", "ok", "fine"),
        Finding("b", "warning", "so so", "do this", lambda: calls.append(1)),
        Finding("c", "error", "bad", "do that\nand that"),
    )
    assert run(["doctor"]) == 1
    said = capfd.readouterr()
    assert said.out == "", "as cog's, all of it is narration"
    assert said.err.splitlines() == [
        "Running cog-nix doctor...",
        "",
        f"cog.yaml not found in {Path.cwd()} (or in any parent directories): only the machine is checked.",
        "",
        "Environment",
        "a",
        "  fine",
        "b",
        "  so so",
        "  Remediation: do this",
        "c",
        "  bad",
        "  Remediation: do that",
        "    and that",
        "",
        'Found 1 error, 1 warning. Run "cog-nix doctor --fix" to auto-fix.',
        "error: doctor found issues",
    ]
    assert calls == [], "nothing is changed without --fix"
    assert run(["doctor", "--fix", "--json"]) == 1
    findings = json.loads(capfd.readouterr().out)
    assert [(one["check"], one["severity"]) for one in findings] == [
        ("a", "ok"),
        ("b", "fixed"),
        ("c", "error"),
    ]
    assert calls == [1]


def test_a_well_machine(machine_with: Any, capfd: pytest.CaptureFixture[str]) -> None:
    machine_with(Finding("a", "ok", "fine"))
    assert run(["doctor"]) == 0
    assert capfd.readouterr().err.endswith("no issues found\n")
    assert run(["doctor", "-f", "other.yaml"]) == 1, "a project that is named must be there"
    assert run(["doctor"], program="cog") == 1, "cog's own wants a project"


@pytest.mark.docker
@pytest.mark.nix
@pytest.mark.network
def test_this_machine_can_build_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(["doctor", "--json"])
    found = {one["check"]: one["severity"] for one in json.loads(capfd.readouterr().out)}
    assert {name: found[name] for name in ("Nix", "Sandbox", "Docker", "Mirrors")} == dict.fromkeys(
        ("Nix", "Sandbox", "Docker", "Mirrors"), "ok"
    )
