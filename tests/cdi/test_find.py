"""From ``--gpus`` to what a container needs: with specifications, without, and where something is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.cdi.failures import CdiError, MissingDeviceDriverError
from cog_nix.cdi.find import LIBRARY_FOLDER, discover, find_devices
from cog_nix.cdi.gpus import GpuRequest
from cog_nix.cdi.machine import Machine
from cog_nix.cdi.model import Edits
from cog_nix.errors import RuntimeFailure

from .conftest import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Driver

UUIDS = ("GPU-aaaa", "GPU-bbbb", "GPU-cccc")


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("all", GpuRequest(-1)),
        ('"all"', GpuRequest(-1)),
        ("-1", GpuRequest(-1)),
        ("2", GpuRequest(2)),
        ("0", GpuRequest(0)),
        ("device=all", GpuRequest(-1)),
        ('"device=0,GPU-a"', GpuRequest(0, ("0", "GPU-a"))),
        ("device=nvidia.com/gpu=0", GpuRequest(0, ("nvidia.com/gpu=0",))),
    ],
)
def test_what_docker_run_takes(text: str, request_: GpuRequest) -> None:
    assert GpuRequest.parse(text) == request_


@pytest.mark.parametrize("text", ["", "some", "device=", "device=,", "1.5", "gpus=1"])
def test_what_it_does_not_take(text: str) -> None:
    with pytest.raises(RuntimeFailure, match="invalid GPU specification"):
        GpuRequest.parse(text)


@pytest.fixture
def three(driver: Driver) -> Machine:
    """A machine with three GPUs, whose device files are in another order than they are counted."""
    for index, minor in ((0, 2), (1, 0), (2, 1)):
        driver.add_gpu(minor)
        told = driver.root / f"proc/driver/nvidia/gpus/0000:0{index}:00.0/information"
        told.parent.mkdir(parents=True)
        told.write_text(f"Model: Fake\nGPU UUID: {UUIDS[index]}\nDevice Minor: {minor}\n")
    return Machine(driver.root)


@pytest.mark.parametrize(
    ("gpus", "nodes"),
    [
        pytest.param("all", ["nvidia2", "nvidia0", "nvidia1"], id="all"),
        pytest.param("2", ["nvidia2", "nvidia0"], id="number"),
        pytest.param("device=1", ["nvidia0"], id="index"),
        pytest.param("device=GPU-cccc,1,2", ["nvidia1", "nvidia0"], id="uuid"),
    ],
)
@pytest.mark.usefixtures("specify")
def test_which_gpus(gpus: str, nodes: list[str], three: Machine) -> None:
    edits = find_devices(gpus, runs_hooks=True, machine=three)
    control = ["nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1"]
    assert [node.path for node in edits.device_nodes] == [f"/dev/{name}" for name in [*nodes, *control]]
    assert all(node.host_path == f"{three.root}{node.path}" for node in edits.device_nodes)


@pytest.mark.parametrize("specified", [True, False])
def test_no_gpus_need_nothing(specified: bool, specify: Callable[..., Path], tmp_path: Path) -> None:  # noqa: FBT001
    if specified:
        specify({"all": NULL})
    assert find_devices("0", runs_hooks=True, machine=Machine(tmp_path / "empty")) == Edits()


@pytest.mark.parametrize(
    ("gpus", "said"),
    [
        ("4", "4 GPUs are asked for, and this machine has 3"),
        ("device=3,GPU-zzzz", "no GPU 3, GPU-zzzz"),
    ],
)
@pytest.mark.usefixtures("specify")
def test_gpus_that_are_not_there(gpus: str, said: str, three: Machine) -> None:
    with pytest.raises(CdiError, match=said):
        find_devices(gpus, runs_hooks=True, machine=three)


def test_the_whole_driver_comes(driver: Driver) -> None:
    driver.add_gpu(0)
    edits = discover(GpuRequest(-1), Machine(driver.root))
    names = [f"lib{name}.so.{VERSION}" for name in ("cuda", "nvidia-glcore", "nvidia-ml")]
    assert [mount.container_path for mount in edits.mounts] == [
        *(f"{LIBRARY_FOLDER}/{name}" for name in names),
        "/usr/bin/nvidia-smi",
    ]
    assert all(mount.read_only for mount in edits.mounts)
    sonames = [soname for soname, _ in edits.placement.libraries]
    assert sonames == ["libcuda.so.1", f"libnvidia-glcore.so.{VERSION}", "libnvidia-ml.so.1"]
    assert edits.placement.links == (("libcuda.so.1", f"{LIBRARY_FOLDER}/libcuda.so"),)


def test_libraries_without_a_version(driver: Driver) -> None:
    for path in driver.folder.iterdir():
        if path.is_symlink():
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
    for path in driver.folder.glob(f"*.{VERSION}"):
        path.unlink()
    machine = Machine(driver.root)
    assert [one.soname for one in machine.libraries] == ["libcuda.so.1", "libnvidia-ml.so.1"]
    assert (machine.library_version, machine.version) == ("", VERSION)


def test_windows_subsystem(driver: Driver) -> None:
    wsl = driver.root / "usr/lib/wsl/lib"
    wsl.parent.mkdir(parents=True)
    driver.folder.rename(wsl)
    (wsl / "nvidia-smi").write_text("")
    (wsl / "nvidia-smi").chmod(0o755)
    (driver.root / "usr/bin/nvidia-smi").unlink()
    (driver.root / "dev/dxg").symlink_to("/dev/null")
    edits = discover(GpuRequest(-1), Machine(driver.root))
    assert [node.path for node in edits.device_nodes] == ["/dev/dxg"]
    assert [mount.container_path for mount in edits.mounts] == ["/usr/lib/wsl"]
    assert edits.placement.folders == ("/usr/lib/wsl/lib",)
    assert ("/usr/lib/wsl/lib/nvidia-smi", "/usr/bin/nvidia-smi") in edits.placement.links


def test_a_machine_without(driver: Driver, tmp_path: Path) -> None:
    with pytest.raises(MissingDeviceDriverError, match="no /dev/nvidia0") as caught:
        discover(GpuRequest(-1), Machine(tmp_path / "empty"), ["broken.json: bad"])
    assert "broken.json: bad" in caught.value.message
    driver.add_gpu(0)
    for path in driver.folder.iterdir():
        path.unlink()
    with pytest.raises(MissingDeviceDriverError, match=r"libcuda.so.1 was not found"):
        discover(GpuRequest(-1), Machine(driver.root))


NULL: dict[str, Any] = {"deviceNodes": [{"path": "/dev/nvidia0", "hostPath": "/dev/null"}]}


def test_uuids_become_the_indexes_of_a_specification(specify: Callable[..., Path], three: Machine) -> None:
    specify({name: {"env": [f"DEVICE={name}"]} for name in ("0", "1", "2", "GPU-cccc", "all")})

    def which(gpus: str) -> str:
        return find_devices(gpus, runs_hooks=True, machine=three).variables["DEVICE"]

    assert which("device=GPU-bbbb") == "1"
    assert which("device=GPU-cccc") == "GPU-cccc"
    assert which("all") == "all"
    assert which("3") == "2"
    with pytest.raises(CdiError, match=r"no device nvidia.com/gpu=3"):
        which("4")


def test_names_with_a_type(specify: Callable[..., Path], three: Machine) -> None:
    specify({name: {"env": [f"DEVICE={name}"]} for name in ("gpu0", "gpu1", "all")})

    def which(gpus: str) -> str:
        return find_devices(gpus, runs_hooks=True, machine=three).variables["DEVICE"]

    assert [which(gpus) for gpus in ("1", "device=1", "device=gpu1", "all")] == [
        "gpu0",
        "gpu1",
        "gpu1",
        "all",
    ]


def test_devices_of_others_by_their_names(specify: Callable[..., Path], tmp_path: Path) -> None:
    specify({"all": NULL}, kind="amd.com/gpu", name="amd.json")
    machine = Machine(tmp_path / "empty")
    edits = find_devices("device=amd.com/gpu=all", runs_hooks=True, machine=machine)
    assert [node.path for node in edits.device_nodes] == ["/dev/nvidia0"]
    with pytest.raises(MissingDeviceDriverError):
        find_devices("all", runs_hooks=True, machine=machine)


def test_a_specification_of_a_former_driver(specify: Callable[..., Path], tmp_path: Path) -> None:
    gone = {"hostPath": str(tmp_path / "libcuda.so.500.1"), "containerPath": "/x"}
    path = specify({"all": NULL}, {"mounts": [gone]})
    with pytest.raises(MissingDeviceDriverError) as caught:
        find_devices("all", runs_hooks=True, machine=Machine(tmp_path / "empty"))
    assert caught.value.message == f"{path} names what is not here: {gone['hostPath']}."
    assert "nvidia-ctk cdi generate" in caught.value.hint


def test_a_driver_that_has_changed_is_looked_for(specify: Callable[..., Path], driver: Driver) -> None:
    specify({"0": NULL, "all": NULL}, {"mounts": [{"hostPath": "/nowhere/a", "containerPath": "/x"}]})
    driver.add_gpu(0)
    edits = find_devices("1", runs_hooks=True, machine=Machine(driver.root))
    assert edits.placement.folders == (LIBRARY_FOLDER,)
    with pytest.raises(MissingDeviceDriverError, match="names what is not here: /nowhere/a"):
        find_devices("device=nvidia.com/gpu=0", runs_hooks=True, machine=Machine(driver.root))
