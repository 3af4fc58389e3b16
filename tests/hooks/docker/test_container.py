"""Containers on a real daemon: what they are given, and that they never stay."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest
import requests

from cog_nix.cdi.failures import MissingDeviceDriverError
from cog_nix.errors import RuntimeFailure
from cog_nix.plugins.spec import ContainerRequest, Streams
from cog_nix.runtime.client import ModelClient
from cog_nix.runtime.container import ContainerGoneError, HookFailedError, NotSignalledError
from cog_nix.runtime.health import wait_until_ready
from cog_nix_hooks.docker.container import feed_lines, start_container
from cog_nix_hooks.docker.devices import gpu_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix_hooks.docker.runtime import DockerRuntime

    Leftovers = Callable[..., list[str]]

pytestmark = pytest.mark.docker


def sh(image: str, script: str, **options: object) -> ContainerRequest:
    return ContainerRequest(image, command=("sh", "-c", script), **options)  # type: ignore[arg-type]


def test_a_container_gets_what_was_asked_for(
    runtime: DockerRuntime, shell_image: str, tmp_path: Path, leftovers: Leftovers
) -> None:
    (tmp_path / "file").write_text("from the host")
    script = (
        'echo "$A"; read line < /mnt/file || echo "$line"; trap "exit 0" TERM; while :; do sleep 0.05; done'
    )
    request = sh(shell_image, script, env={"A": "b c"}, mounts=((tmp_path, "/mnt"),))
    with runtime.start(request) as container:
        (name,) = leftovers()
        inspect = ["docker", "inspect", name]
        (seen,) = json.loads(subprocess.run(inspect, capture_output=True, check=True).stdout)
        (binding,) = seen["NetworkSettings"]["Ports"]["5000/tcp"]
        assert binding["HostIp"] == "127.0.0.1"
        assert container.url == f"http://127.0.0.1:{binding['HostPort']}"
        assert seen["HostConfig"]["ShmSize"] == 6 << 30
        assert container.alive()
        assert wait_for(lambda: container.logs().splitlines() == ["b c", "from the host"])
    assert leftovers() == []


class Stumbling(docker.APIClient):  # type: ignore[misc] # the SDK has no types
    """The daemon, whose hook fails at the first starts: in Docker 20.10 it does once in a long while."""

    def __init__(self, failures: int) -> None:
        super().__init__(version="auto", base_url=os.environ.get("DOCKER_HOST"))
        self.failures = failures

    def start(self, container: Any) -> None:
        self.failures -= 1
        if self.failures >= 0:
            said = 'error running hook #0: exit status 1, stderr: level=fatal msg="no such file or directory"'
            raise docker.errors.APIError("500", requests.Response(), explanation=said)
        super().start(container)


def test_a_container_whose_hook_failed_is_started_once_more(shell_image: str, leftovers: Leftovers) -> None:
    request = sh(shell_image, "read line; echo got $line", interactive=True, stdin=True)
    read, write = os.pipe()
    os.write(write, b"it\n")
    os.close(write)
    out, said = os.pipe()
    with start_container(Stumbling(1), request) as container:
        assert container.attach(Streams(read, said, said)) == 0
    os.close(said)
    assert os.read(out, 100) == b"got it\n"
    assert leftovers() == []


def test_a_hook_that_fails_again_is_told_of(shell_image: str, leftovers: Leftovers) -> None:
    with pytest.raises(HookFailedError, match=r"^Failed to start container: .*error running hook #0"):
        start_container(Stumbling(2), sh(shell_image, "true"))
    assert leftovers() == []


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_lines_arrive_while_it_runs_and_the_last_ones_too(runtime: DockerRuntime, shell_image: str) -> None:
    lines: list[str] = []
    first = threading.Event()

    def take(line: str) -> None:
        lines.append(line)
        first.set()

    script = "trap 'echo bye; exit 0' TERM; echo one; echo two >&2; while :; do sleep 0.05; done"
    with runtime.start(sh(shell_image, script)) as container:
        container.follow_logs(take)
        assert first.wait(10)
        assert wait_for(lambda: sorted(lines) == ["one", "two"])
    assert lines[2:] == ["bye"]


@pytest.mark.parametrize(
    ("frames", "lines"),
    [
        ([b"one\ntw", b"o\r\n"], ["one", "two"]),
        ([b"one\n", b"no newline"], ["one", "no newline"]),
        ([b"caf\xc3", b"\xa9\n"], ["caf\u00e9"]),
    ],
    ids=["line-over-two-frames", "unfinished-last-line", "character-over-two-frames"],
)
def test_frames_become_lines(frames: list[bytes], lines: list[str]) -> None:
    seen: list[str] = []
    feed_lines(iter(frames), seen.append)
    assert seen == lines


def test_one_that_somebody_else_removes(
    runtime: DockerRuntime, shell_image: str, leftovers: Leftovers
) -> None:
    with runtime.start(sh(shell_image, "while :; do sleep 0.05; done")) as container:
        subprocess.run(["docker", "rm", "-f", *leftovers()], capture_output=True, check=True)
        assert not container.alive()
        for ask in (container.logs, lambda: container.follow_logs(print), lambda: container.wait(1)):
            with pytest.raises(ContainerGoneError, match="The container is gone: "):
                ask()


def test_signals_and_the_exit_status(runtime: DockerRuntime, shell_image: str) -> None:
    script = "trap 'exit 7' USR1; echo ready; while :; do sleep 0.05; done"
    with runtime.start(sh(shell_image, script)) as container:
        assert wait_for(lambda: "ready" in container.logs())
        with pytest.raises(RuntimeFailure, match="still runs after 1 seconds"):
            container.wait(1)
        container.signal("SIGUSR1")
        assert container.wait(10) == 7
        assert not container.alive()
        with pytest.raises(NotSignalledError, match="SIGUSR1 did not reach the container"):
            container.signal("SIGUSR1")


def test_a_fixed_port_and_one_that_is_taken(
    runtime: DockerRuntime, shell_image: str, leftovers: Leftovers
) -> None:
    with runtime.start(ContainerRequest(shell_image)) as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(RuntimeFailure, match="Failed to start container") as caught:
            runtime.start(ContainerRequest(shell_image, port=port))
        assert caught.value.hint == "Choose another port."
        assert len(leftovers()) == 1
    with runtime.start(ContainerRequest(shell_image, port=port)) as second:
        assert second.url.endswith(f":{port}")


def test_an_exception_removes_it(runtime: DockerRuntime, shell_image: str, leftovers: Leftovers) -> None:
    def use() -> None:
        with runtime.start(ContainerRequest(shell_image)):
            assert len(leftovers()) == 1
            raise KeyError

    with pytest.raises(KeyError):
        use()
    assert leftovers() == []


def test_a_container_that_cannot_start_is_removed(
    runtime: DockerRuntime, shell_image: str, leftovers: Leftovers
) -> None:
    with pytest.raises(RuntimeFailure, match="no-such-program"):
        runtime.start(ContainerRequest(shell_image, command=("no-such-program",)))
    assert leftovers() == []


def test_a_container_that_ends_at_once_tells_what_it_said(
    runtime: DockerRuntime, shell_image: str, leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = docker.APIClient.start

    def start_and_wait(client: docker.APIClient, container_id: str) -> None:
        start(client, container_id)
        client.wait(container_id)

    monkeypatch.setattr(docker.APIClient, "start", start_and_wait)
    with pytest.raises(RuntimeFailure, match=r"The container ended at once\.\s+why"):
        runtime.start(sh(shell_image, "echo why"))
    assert leftovers() == []


def test_an_image_that_is_not_there(runtime: DockerRuntime) -> None:
    with pytest.raises(RuntimeFailure, match="No such image") as caught:
        runtime.start(ContainerRequest("cog-nix-test:gone"))
    assert caught.value.hint == "Build or pull cog-nix-test:gone first."


def test_signal_handlers_are_put_back(runtime: DockerRuntime, shell_image: str) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with runtime.start(ContainerRequest(shell_image)):
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


OWNER = textwrap.dedent(
    """
    import sys, time
    from cog_nix.plugins.spec import ContainerRequest
    from cog_nix_hooks.docker.runtime import DockerRuntime

    container = DockerRuntime().start(ContainerRequest(sys.argv[1]))
    if sys.argv[2] == "with":
        with container:
            print("started", flush=True)
            time.sleep(60)
    else:
        print("started", flush=True)
        if sys.argv[2] == "sleep":
            time.sleep(60)
    """
)


@pytest.mark.parametrize(
    ("how", "number"),
    [
        pytest.param("with", signal.SIGINT, id="ctrl-c"),
        pytest.param("with", signal.SIGTERM, id="sigterm"),
        pytest.param("with", signal.SIGHUP, id="sighup"),
        pytest.param("sleep", signal.SIGTERM, id="sigterm-outside-the-context"),
        pytest.param("end", None, id="never-entered"),
    ],
)
def test_its_owners_end_is_its_end(
    shell_image: str, leftovers: Leftovers, how: str, number: signal.Signals | None
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", OWNER, shell_image, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"started\n"
        if number is not None:
            assert len(leftovers(owner.pid)) == 1
            owner.send_signal(number)
        owner.wait(20)
        assert wait_for(lambda: leftovers(owner.pid) == [], 1)
        if number in (signal.SIGTERM, signal.SIGHUP):
            assert owner.returncode == 128 + number


@pytest.mark.parametrize(
    ("text", "count", "devices"),
    [("all", -1, None), ("2", 2, None), ("device=0,1", 0, ["0", "1"]), ('"device=0,1"', 0, ["0", "1"])],
)
def test_gpus_as_docker_run_takes_them(text: str, count: int, devices: list[str] | None) -> None:
    request = gpu_request(text)
    assert request["Count"] == count
    assert (request["DeviceIDs"] or None) == devices
    assert request["Capabilities"] == [["gpu"]]


def test_gpus_that_mean_nothing(runtime: DockerRuntime, shell_image: str, leftovers: Leftovers) -> None:
    with pytest.raises(RuntimeFailure, match='invalid GPU specification: "some"'):
        runtime.start(ContainerRequest(shell_image, gpus="some"))
    assert leftovers() == []


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU")
def test_a_daemon_without_a_gpu_driver(
    runtime: DockerRuntime, shell_image: str, leftovers: Leftovers
) -> None:
    with pytest.raises(MissingDeviceDriverError, match="could not select device driver") as caught:
        runtime.start(ContainerRequest(shell_image, gpus="all"))
    assert "NVIDIA Container Toolkit" in caught.value.hint
    assert leftovers() == []


@pytest.mark.nix
def test_a_built_model_answers(runtime: DockerRuntime, hello_image: str) -> None:
    with runtime.start(ContainerRequest(hello_image)) as container:
        wait_until_ready(container, 60)
        client = ModelClient(container.url)
        prediction = client.predict({"text": "world"})
        assert (prediction.status, prediction.output) == ("succeeded", "hello world")
        assert client.schema().has_inputs()
