"""GPUs in Docker: what the daemon is asked for, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from cog_nix.cdi.failures import MissingDeviceDriverError
from cog_nix.plugins.spec import ContainerRequest
from cog_nix_hooks.docker import container
from cog_nix_hooks.docker.devices import Devices, by_name, known_to_docker
from cog_nix_hooks.docker.endpoint import Endpoint
from cog_nix_hooks.docker.runtime import DockerRuntime

CDI = {"CDISpecDirs": ["/etc/cdi", "/var/run/cdi"]}


def discovered(*names: str) -> dict[str, Any]:
    return {**CDI, "DiscoveredDevices": [{"Source": "cdi", "ID": name} for name in names]}


@pytest.mark.parametrize(
    ("gpus", "info", "names"),
    [
        pytest.param("all", {}, [], id="before-25"),
        pytest.param("all", {"CDISpecDirs": None}, [], id="switched-off"),
        pytest.param("all", CDI, ["nvidia.com/gpu=all"], id="all"),
        pytest.param("2", CDI, ["nvidia.com/gpu=0", "nvidia.com/gpu=1"], id="number"),
        pytest.param("device=GPU-1,3", CDI, ["nvidia.com/gpu=GPU-1", "nvidia.com/gpu=3"], id="named"),
        pytest.param("all", discovered(), [], id="no-devices"),
        pytest.param("all", discovered("example.com/nic=0"), [], id="other-devices"),
        pytest.param(
            "all",
            discovered("nvidia.com/gpu=0", "nvidia.com/gpu=1"),
            ["nvidia.com/gpu=0", "nvidia.com/gpu=1"],
            id="without-all",
        ),
        pytest.param(
            "1",
            discovered("nvidia.com/gpu=GPU-a", "nvidia.com/gpu=all"),
            ["nvidia.com/gpu=GPU-a"],
            id="by-uuid",
        ),
    ],
)
def test_what_docker_may_know(gpus: str, info: dict[str, Any], names: list[str]) -> None:
    assert known_to_docker(gpus, info) == names


def test_a_daemon_without_nvidias_driver_is_asked_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Devices | None] = []

    def start(_client: object, _request: object, devices: Devices | None = None, **_: object) -> str:
        asked.append(devices)
        if devices is None:
            raise MissingDeviceDriverError('could not select device driver "nvidia"')
        return "started"

    class Info:
        answer: dict[str, Any] = CDI

        def info(self) -> Any:
            return self.answer

        def close(self) -> None: ...

    monkeypatch.setattr(container, "start_container", start)
    monkeypatch.setattr("cog_nix_hooks.docker.runtime.sdk_client", lambda _endpoint: Info())
    runtime = DockerRuntime()
    runtime.__dict__.update(endpoint=Endpoint("unix:///x"))
    assert runtime.start(ContainerRequest("x", gpus="all")) == "started"  # type: ignore[comparison-overlap]
    assert asked == [None, by_name(["nvidia.com/gpu=all"])]
    Info.answer = {}
    with pytest.raises(MissingDeviceDriverError):
        runtime.start(ContainerRequest("x", gpus="all"))
    assert len(asked) == 3
