"""Which daemon is meant, and what is said when it does not answer. No daemon is needed."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import RuntimeFailure
from cog_nix_hooks.docker.endpoint import DEFAULT_HOST, Endpoint, find_endpoint
from cog_nix_hooks.docker.engine import Engine
from cog_nix_hooks.docker.failures import UnreachableError
from cog_nix_hooks.docker.runtime import DockerRuntime

if TYPE_CHECKING:
    from pathlib import Path


def write_context(home: Path, name: str, host: str, *, current: bool = True, tls: bool = False) -> None:
    key = hashlib.sha256(name.encode()).hexdigest()
    folder = home / ".docker"
    meta = folder / "contexts" / "meta" / key
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    if current:
        (folder / "config.json").write_text(json.dumps({"currentContext": name}))
    if tls:
        (folder / "contexts" / "tls" / key / "docker").mkdir(parents=True)


def test_the_usual_socket(tmp_path: Path) -> None:
    assert find_endpoint({"HOME": str(tmp_path)}) == Endpoint(DEFAULT_HOST)


def test_docker_host_wins(tmp_path: Path) -> None:
    write_context(tmp_path, "other", "unix:///other.sock")
    environ = {
        "HOME": str(tmp_path),
        "DOCKER_HOST": "tcp://docker.example.org:2376",
        "DOCKER_TLS_VERIFY": "1",
    }
    found = find_endpoint(environ)
    assert found == Endpoint("tcp://docker.example.org:2376", tmp_path / ".docker", tls_verify=True)
    assert found.socket_path is None


def test_the_current_context(tmp_path: Path) -> None:
    write_context(tmp_path, "rootless", "unix:///run/user/1000/docker.sock")
    found = find_endpoint({"HOME": str(tmp_path)})
    assert found.socket_path == "/run/user/1000/docker.sock"


def test_a_context_from_the_environment(tmp_path: Path) -> None:
    write_context(tmp_path, "far", "tcp://docker.example.org:2376", current=False, tls=True)
    config = {"DOCKER_CONFIG": str(tmp_path / ".docker")}
    found = find_endpoint({**config, "DOCKER_CONTEXT": "far"})
    assert found.host == "tcp://docker.example.org:2376"
    assert found.tls_dir is not None
    assert find_endpoint(config) == Endpoint(DEFAULT_HOST)
    assert find_endpoint({**config, "DOCKER_CONTEXT": "default"}) == Endpoint(DEFAULT_HOST)


def test_a_context_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailure, match='"gone" that DOCKER_CONTEXT names does not exist'):
        find_endpoint({"HOME": str(tmp_path), "DOCKER_CONTEXT": "gone"})
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text('{"currentContext": "gone"}')
    assert find_endpoint({"HOME": str(tmp_path)}) == Endpoint(DEFAULT_HOST)


def use_socket(monkeypatch: pytest.MonkeyPatch, path: Path) -> DockerRuntime:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    return DockerRuntime()


def test_no_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runtime = use_socket(monkeypatch, tmp_path / "gone.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runtime.available() == (
        f"Docker is not installed: there is no docker command and no socket at {tmp_path}/gone.sock."
    )
    (tmp_path / "docker").touch(mode=0o755)
    assert runtime.available() == f"Docker is not running: nothing listens at {tmp_path}/gone.sock."
    with pytest.raises(RuntimeFailure, match="Docker is not running") as caught:
        runtime.image_id("model")
    assert "DOCKER_HOST" in caught.value.hint


def test_a_socket_that_nobody_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    assert use_socket(monkeypatch, path).available() == f"Docker is not running: nothing listens at {path}."


def test_a_socket_that_is_not_ours() -> None:
    error = UnreachableError(Endpoint("unix:///run/docker.sock"), PermissionError(13, "Permission denied"))
    assert error.message == "You may not use Docker: permission denied at /run/docker.sock."
    assert "group docker" in error.hint


def test_a_daemon_elsewhere_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(RuntimeFailure, match=rf"Docker does not answer at tcp://127\.0\.0\.1:{port}"):
        Engine(Endpoint(f"tcp://127.0.0.1:{port}"))


@pytest.mark.docker
def test_the_sdks_way_leads_to_the_same_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    direct = DockerRuntime()
    through_sdk = DockerRuntime()
    monkeypatch.setattr(Endpoint, "socket_path", None)
    assert through_sdk.available() is None
    assert through_sdk.image_id("cog-nix-test:gone") is None
    through_sdk.close()
    direct.close()


@pytest.mark.docker
def test_asking_for_an_image_does_not_import_the_sdk() -> None:
    code = (
        "import sys\nfrom cog_nix_hooks.docker import provide_runtime\n"
        "provide_runtime(name='docker').image_id('cog-nix-test:gone')\n"
        "heavy = {'docker', 'requests', 'httpx', 'rich', 'jsonschema'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
