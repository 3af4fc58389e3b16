"""Podman through its Docker API, with a service of this test's own."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import RuntimeFailure
from cog_nix.plugins.spec import ContainerRequest
from cog_nix.report import SilentReporter
from cog_nix_hooks.docker import podman
from cog_nix_hooks.docker.podman import PodmanRuntime
from tests.hooks.docker.conftest import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cog_nix.plugins.spec import Container


@pytest.fixture
def runtime(podman_host: str) -> Iterator[PodmanRuntime]:  # noqa: ARG001 - for its effect
    made = PodmanRuntime()
    assert made.available() is None
    yield made
    made.close()


@pytest.mark.slow
def test_it_loads_and_runs(
    runtime: PodmanRuntime,
    tmp_path: Path,
    base: dict[str, bytes],
    finished: Callable[[Container], tuple[int, str]],
    podman_host: str,
) -> None:
    made = Store(tmp_path)
    first, second = (
        made.build(base, {"src/a": text}, Env=["PATH=/bin"], Cmd=["sh"], Labels={"a": "b"})
        for text in (b"1", b"2")
    )
    try:
        for image in (first, second):
            assert runtime.load(image.program, [made.tag], SilentReporter()) == image.id
            assert [flag for call in image.calls for flag in call].count("--skip") == 0
        assert runtime.image_id(made.tag) == second.id
        assert runtime.image_labels(made.tag) == {"a": "b"}
        request = ContainerRequest(made.tag, command=("sh", "-c", "cat /src/a; sleep 0.5; exit 3"))
        assert finished(runtime.start(request)) == (3, "2")
    finally:
        subprocess.run(
            ["podman", "--url", podman_host, "rmi", "-f", first.id, second.id],
            check=True,
            capture_output=True,
        )


@pytest.mark.slow
def test_a_service_that_listens_is_taken() -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder, "podman/podman.sock")  # its length has a limit (unix(7))
        path.parent.mkdir()
        listener.bind(str(path))
        listener.listen()
        found = podman.find_service({"XDG_RUNTIME_DIR": folder})
        assert found is not None
        assert found.socket_path == str(path)
        named = podman.find_service({"CONTAINER_HOST": "unix:///x", "XDG_RUNTIME_DIR": folder})
        assert named is not None
        assert named.host == "unix:///x"


def test_a_service_that_does_not_start_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "podman"
    program.write_text("#!/bin/sh\necho no subuids; exit 125\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(RuntimeFailure, match="does not start: no subuids"):
        podman.start_service(tmp_path / "socket")


def test_without_podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONTAINER_HOST", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(podman, "find_service", lambda _environ: None)
    said = PodmanRuntime().available()
    assert said is not None
    assert said.startswith("Podman is not installed")
