"""GPUs in Podman, of the version that is here, through its Docker API."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.cdi import find
from cog_nix.cdi.failures import CdiError, MissingDeviceDriverError
from cog_nix.cdi.machine import Machine
from cog_nix.plugins.spec import ContainerRequest
from cog_nix.report import SilentReporter
from cog_nix_hooks.docker import container
from cog_nix_hooks.docker.endpoint import Endpoint
from cog_nix_hooks.docker.podman import PodmanRuntime
from tests.runtimes.conftest import podman_host, podman_service  # noqa: F401 - fixtures

from .conftest import FOLDER, GPU0, HOOKS, check, specified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import Driver


@pytest.fixture
def runtime(podman_host: str, image: Path) -> Iterator[PodmanRuntime]:  # noqa: F811
    """Podman with the image ``gpu``."""
    made = PodmanRuntime()
    assert made.available() is None
    loaded = made.load(image, ["cog-nix-test-gpu:latest"], SilentReporter())
    yield made
    made.close()
    remove = ["podman", "--url", podman_host, "rmi", "-f", loaded]
    subprocess.run(remove, check=True, capture_output=True)


def output(runtime: PodmanRuntime, **changes: Any) -> str:
    request = ContainerRequest("cog-nix-test-gpu:latest", **{"gpus": "all", **changes})
    with runtime.start(request) as running:
        status = running.wait(20)
        said = running.logs()
    assert status == 0, said
    return said


@pytest.mark.slow
def test_a_specification(runtime: PodmanRuntime, specify: Callable[..., Path], driver: Driver) -> None:
    specify({"0": GPU0, "all": GPU0}, specified(driver, hooks=HOOKS))
    check(output(runtime), FOLDER, "specification")
    with pytest.raises(CdiError, match=r"no device nvidia.com/gpu=5"):
        output(runtime, gpus="device=5")


@pytest.mark.slow
@pytest.mark.usefixtures("specify")
def test_no_specification(runtime: PodmanRuntime, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    (driver.root / "dev/nvidia-caps/nvidia-cap1").unlink()
    (driver.root / "dev/nvidia-uvm").unlink()
    monkeypatch.setattr(find, "Machine", lambda: Machine(driver.root))
    with pytest.raises(MissingDeviceDriverError, match="no /dev/nvidia0"):
        output(runtime)
    driver.add_gpu(0)
    check(output(runtime), find.LIBRARY_FOLDER, "image")


class _Says:
    def __init__(self, version: str) -> None:
        self._version = version

    def version(self) -> Any:
        return {"Version": self._version}

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("version", "host", "names"),
    [
        pytest.param("5.5.0", "unix:///run/podman.sock", ["nvidia.com/gpu=0"], id="new"),
        pytest.param("5.10.1-dev", "unix:///run/podman.sock", ["nvidia.com/gpu=0"], id="newer"),
        pytest.param("5.4.2", "unix:///run/podman.sock", None, id="old"),
        pytest.param("5.5.0", "tcp://podman.example.org:1", ["nvidia.com/gpu=0"], id="new-elsewhere"),
    ],
)
def test_names_are_for_those_who_take_them(
    version: str,
    host: str,
    names: list[str] | None,
    specify: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = specify({"0": GPU0, "all": GPU0}).parent
    monkeypatch.setattr("cog_nix.cdi.registry.FOLDERS", (folder,))
    given = []
    monkeypatch.setattr(
        container, "start_container", lambda _client, _request, devices, **_: given.append(devices)
    )
    monkeypatch.setattr("cog_nix_hooks.docker.podman.sdk_client", lambda _endpoint: _Says(version))
    runtime = PodmanRuntime()
    runtime.__dict__.update(endpoint=Endpoint(host))
    runtime.start(ContainerRequest("x", gpus="device=0"))
    [devices] = given
    assert [one["DeviceIDs"] for one in devices.requests] == ([names] if names else [])
    assert [node.path for node in devices.edits.device_nodes] == ([] if names else ["/dev/nvidia0"])


def test_an_old_one_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cog_nix_hooks.docker.podman.sdk_client", lambda _endpoint: _Says("4.9.3"))
    runtime = PodmanRuntime()
    runtime.__dict__.update(endpoint=Endpoint("tcp://podman.example.org:1"))
    with pytest.raises(
        MissingDeviceDriverError, match=r"Podman 4.9.3 at tcp://podman.example.org:1 cannot give GPUs"
    ):
        runtime.start(ContainerRequest("x", gpus="all"))
