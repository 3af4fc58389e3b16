"""What the doctor sees of GPUs, drivers and specifications, and whether they fit a lock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cog_nix.cdi.machine import Machine
from cog_nix.config.model import Project
from cog_nix.lock.model import Artifact, Wheel
from cog_nix_hooks.nvidia import builds, checks
from cog_nix_hooks.nvidia.builds import Locked
from tests.cdi.conftest import VERSION, compiled, driver, specify  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.plugins.spec import Finding
    from tests.cdi.conftest import Driver

ARTIFACT = Artifact("a", "https://example.org/a", "0" * 64, 1)


@pytest.fixture(autouse=True)
def _asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(checks.SKIP, raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that wants a GPU."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "cog.yaml").write_text("build:\n  gpu: true\n  python_version: '3.13'\nrun: run.py:Runner\n")
    (root / "run.py").write_text("class Runner: ...\n")
    return Project(root, root / "cog.yaml")


def wheels(**versions: str) -> tuple[Wheel, ...]:
    return tuple(Wheel(name.replace("_", "-"), version, ARTIFACT) for name, version in versions.items())


class _Lock:
    def __init__(self, **versions: str) -> None:
        self.wheels = wheels(**versions)


def severities(found: list[Finding]) -> list[str]:
    return [one.severity for one in found]


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        pytest.param({}, Locked(None, ""), id="neither"),
        pytest.param(
            {"torch": "2.6.0", "nvidia_cuda_runtime_cu12": "12.4.127"}, Locked((12, 4), "2.6.0"), id="runtime"
        ),
        pytest.param(
            {"torch": "2.9.0", "nvidia_cuda_runtime": "13.0.48"}, Locked((13, 0), "2.9.0"), id="thirteen"
        ),
        pytest.param({"torch": "2.0.1+cu118"}, Locked((11, 8), "2.0.1"), id="mark"),
        pytest.param({"torch": "2.6.0+cpu"}, Locked(None, ""), id="no-gpu"),
        pytest.param({"nvidia_cuda_runtime_cu11": "11.8.89"}, Locked((11, 8), ""), id="without-torch"),
    ],
)
def test_what_a_project_is_locked_to(versions: dict[str, str], found: Locked) -> None:
    assert builds.locked(_Lock(**versions)) == found  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("driver_version", "highest", "wanted", "said"),
    [
        pytest.param("550.54.15", (12, 4), (12, 4), "", id="as-new"),
        pytest.param("550.54.15", (12, 4), (12, 8), "", id="minor-version-compatibility"),
        pytest.param("525.60.13", (12, 0), (12, 9), "", id="oldest-of-twelve"),
        pytest.param(
            "525.60.11", (12, 0), (12, 1), "CUDA 12.1 needs a driver of version 525.60.13", id="too-old"
        ),
        pytest.param(
            "550.54.15", (12, 4), (13, 0), "CUDA 13.0 needs a driver of version 580.65.06", id="major"
        ),
        pytest.param("470.1", (11, 4), (11, 8), "", id="eleven"),
        pytest.param("", (11, 4), (12, 0), "runs CUDA up to 11.4", id="unknown-driver"),
        pytest.param("600.1", None, (14, 0), "", id="newer-than-the-table"),
        pytest.param("", None, (12, 0), "", id="nothing-known"),
    ],
)
def test_drivers_and_cuda(
    driver_version: str, highest: tuple[int, ...] | None, wanted: tuple[int, ...], said: str
) -> None:
    why = builds.driver_problem(driver_version, highest, wanted)
    assert why.startswith(said) if said.startswith("CUDA") else said in why
    assert bool(why) == bool(said)


@pytest.mark.parametrize(
    ("capability", "torch", "version", "remedy"),
    [
        pytest.param((9, 0), "2.6.0", (12, 4), "", id="hopper"),
        pytest.param((9, 0), "1.13.1", (11, 7), "torch 2.0.0 for CUDA 11.8", id="hopper-too-old"),
        pytest.param((12, 0), "2.6.0", (12, 6), "torch 2.7.0 for CUDA 12.8", id="blackwell"),
        pytest.param((12, 0), "2.7.0", (11, 8), 'cuda: "12.8"', id="blackwell-other-cuda"),
        pytest.param((12, 1), "2.9.0", (13, 0), "", id="newest"),
        pytest.param((8, 9), "1.12.0", (11, 3), "", id="ada-runs-kernels-of-ampere"),
        pytest.param((6, 1), "2.8.0", (12, 8), 'cuda: "12.6"', id="pascal"),
        pytest.param((6, 1), "2.6.0", (12, 4), "", id="pascal-still"),
        pytest.param((9, 0), "", (11, 0), "", id="no-torch"),
        pytest.param((9, 0), "2.6.0", None, "", id="unknown-cuda"),
    ],
)
def test_kernels(
    capability: tuple[int, int], torch: str, version: tuple[int, int] | None, remedy: str
) -> None:
    found = list(builds.kernel_problems([capability, capability], Locked(version, torch)))
    assert len(found) == bool(remedy)
    for message, mends in found:
        assert f"torch {torch}" in message
        assert f"sm_{capability[0]}{capability[1]}" in message
        assert remedy in mends


def test_a_machine_without(tmp_path: Path, project: Project, specify: Callable[..., Path]) -> None:  # noqa: F811
    del specify
    machine = Machine(tmp_path / "empty")
    assert list(checks.examine(None, machine)) == []
    [found] = checks.examine(project, machine)
    assert (found.severity, found.message) == ("ok", "no NVIDIA GPU here: the model will run without one")


def test_a_machine_with(
    driver: Driver,  # noqa: F811
    specify: Callable[..., Path],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    driver.add_gpu(0)
    driver.add_gpu(1)
    found = list(checks.examine(None, Machine(driver.root)))
    assert severities(found) == ["ok", "ok"]
    assert found[0].message == f"NVIDIA's driver {VERSION}, CUDA up to 12.4, 2 GPUs"
    assert "no nvidia-ctk" in found[1].message
    tool = tmp_path / "bin/nvidia-ctk"
    tool.parent.mkdir()
    tool.write_text("")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent))
    assert "nvidia-ctk cdi generate" in list(checks.examine(None, Machine(driver.root)))[1].message
    path = specify({"0": {"env": ["A=b"]}, "all": {"env": ["A=b"]}})
    found = list(checks.examine(None, Machine(driver.root)))
    assert found[1].message == f"nvidia.com/gpu is described by {path}: 0, all"
    monkeypatch.setenv(checks.SKIP, "1")
    assert list(checks.examine(None, Machine(driver.root))) == []


@pytest.mark.usefixtures("specify")
def test_a_driver_that_waits_for_a_reboot(driver: Driver) -> None:  # noqa: F811
    driver.add_gpu(0)
    told = driver.root / "proc/driver/nvidia/version"
    told.write_text(told.read_text().replace(VERSION, "535.1.2"))
    found = list(checks.examine(None, Machine(driver.root)))
    assert severities(found) == ["warning", "ok", "ok"]
    assert f"has NVIDIA's driver 535.1.2, and its libraries are {VERSION}" in found[0].message
    assert found[0].remedy.startswith("Reboot")


@pytest.mark.usefixtures("specify")
def test_a_driver_that_nobody_has_used_yet(driver: Driver) -> None:  # noqa: F811
    driver.add_gpu(0)
    (driver.root / "dev/nvidia-uvm").unlink()
    found = list(checks.examine(None, Machine(driver.root)))
    assert severities(found) == ["ok", "warning", "ok"]
    assert found[1].remedy == "sudo nvidia-modprobe -u -c=0"


@pytest.mark.usefixtures("specify")
def test_a_driver_without_libraries(driver: Driver) -> None:  # noqa: F811
    driver.add_gpu(0)
    for path in driver.folder.iterdir():
        path.unlink()
    found = list(checks.examine(None, Machine(driver.root)))
    assert severities(found) == ["warning", "warning"]
    assert all(one.remedy for one in found)


def test_specifications_that_do_not_fit(driver: Driver, specify: Callable[..., Path]) -> None:  # noqa: F811
    driver.add_gpu(0)
    path = specify({"all": {"mounts": [{"hostPath": "/nowhere/libcuda.so.1", "containerPath": "/x"}]}})
    path.with_name("broken.yaml").write_text("kind: {")
    found = list(checks.examine(None, Machine(driver.root)))
    assert severities(found) == ["warning", "ok", "warning"]
    assert "broken.yaml: the device specification is not YAML" in found[0].message
    assert "names what is not here: /nowhere/libcuda.so.1" in found[2].message
    assert "nvidia-ctk cdi generate" in found[2].remedy


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        pytest.param(
            {"torch": "2.6.0", "nvidia_cuda_runtime_cu12": "12.4.127"},
            ["ok the driver runs CUDA 12.4, which the project is locked to"],
            id="fits",
        ),
        pytest.param(
            {"torch": "2.9.0", "nvidia_cuda_runtime": "13.0.48"},
            ["warning CUDA 13.0 needs a driver of version 580.65.06"],
            id="driver-too-old",
        ),
        pytest.param(
            {"torch": "1.13.1+cu117"},
            ["ok the driver runs CUDA 11.7", "warning torch 1.13.1 for CUDA 11.7 has no kernels for sm_90"],
            id="gpu-too-new",
        ),
    ],
)
@pytest.mark.usefixtures("specify")
def test_a_lock(
    versions: dict[str, str],
    words: list[str],
    driver: Driver,  # noqa: F811
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver.add_gpu(0)
    program = project.root / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n[ \"$*\" = '--query-gpu=compute_cap --format=csv,noheader' ] && echo 9.0\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr("cog_nix.lock.format.read", lambda _path, _platform: _Lock(**versions))
    found = [f"{one.severity} {one.message}" for one in checks.examine(project, Machine(driver.root))][2:]
    assert len(found) == len(words)
    assert all(one.startswith(start) for one, start in zip(found, words, strict=True))


@pytest.mark.usefixtures("specify")
def test_a_lock_that_cannot_be_read(driver: Driver, project: Project) -> None:  # noqa: F811
    driver.add_gpu(0)
    project.lock_path.write_text(json.dumps({"version": 999}))
    assert severities(list(checks.examine(project, Machine(driver.root)))) == ["ok", "ok"]


def test_compute_capabilities_without_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checks.compute_capabilities() == []
