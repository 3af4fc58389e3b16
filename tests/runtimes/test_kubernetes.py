"""The manifests of examples/kubernetes: read as Kubernetes' API has them, and the pod started by Podman."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import kubernetes_validate
import pytest
import yaml

from cog_nix.check import project_path
from cog_nix.plugins.manager import find_runtime
from cog_nix.plugins.spec import ContainerRequest
from cog_nix.report import SilentReporter
from conftest import EXAMPLES, cog_nix, copy_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cog_nix.plugins.spec import Runtime

_FOLDER = EXAMPLES / "kubernetes"
_IMAGE = "cog-nix-test-pod"
_PROBED = "cog-nix-test-probed"
_MODEL = """\
import os
import signal
import time
from pathlib import Path

from cog import BaseRunner, Input


def wait_for(name: str) -> None:
    while not Path("/gate", name).exists():
        time.sleep(0.05)


class Runner(BaseRunner):
    def setup(self) -> None:
        wait_for("set-up")
        if os.environ.get("FAILS"):
            raise RuntimeError("no weights")

    def run(self, dies: bool = Input(default=False)) -> str:
        wait_for("answer")
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"
"""
_OVER = ("startupProbe",)
_GOOD = ("startupProbe", "readinessProbe", "livenessProbe")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((_FOLDER / name).read_text()))


def pod_of(document: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = document["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("name", ["serve.yaml", "build.yaml"])
def test_what_a_pod_mounts_is_there_and_it_has_no_rights(name: str) -> None:
    pod = pod_of(documents(name)[0])
    (container,) = pod["containers"]
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False


@pytest.mark.parametrize("version", ["1.33", "1.34", "1.35"])
@pytest.mark.parametrize("name", ["serve.yaml", "build.yaml"])
def test_kubernetes_knows_every_key(name: str, version: str) -> None:
    """From the first release on that has user namespaces for pods switched on."""
    for document in documents(name):
        kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_refuse_a_key_that_there_is_not() -> None:
    deployment = documents("serve.yaml")[0]
    pod_of(deployment)["containers"][0]["securityContext"]["runAsNonroot"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="runAsNonroot"):
        kubernetes_validate.validate(deployment, "1.33", strict=True)


def test_a_sandbox_may_mount_proc_in_a_user_namespace_alone() -> None:
    """Kubernetes refuses ``procMount: Unmasked`` without ``hostUsers: false``."""
    pod = pod_of(documents("build.yaml")[0])
    assert pod["containers"][0]["securityContext"]["procMount"] == "Unmasked"
    assert pod["hostUsers"] is False


def passed(url: str, state: str) -> tuple[str, ...]:
    """Return the probes that a server passes; each of the others tells the state."""
    (container,) = pod_of(documents("serve.yaml")[0])["containers"]
    found = []
    for name in _GOOD:
        _, *arguments = container[name]["exec"]["command"]
        here = [one.replace("http://127.0.0.1:5000", url) for one in arguments]
        done = subprocess.run([sys.executable, *here], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found.append(name)
        else:
            assert done.stderr.strip() == state
    return tuple(found)


@contextmanager
def stating(state: str) -> Iterator[str]:
    """Yield the URL of a server whose state is told."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"status": state}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("state", "probes"),
    [
        ("STARTING", ()),
        ("READY", _GOOD),
        ("BUSY", _GOOD),
        ("SETUP_FAILED", _OVER),
        ("DEFUNCT", _OVER),
        ("UNHEALTHY", _OVER),
        ("UNKNOWN", ()),
    ],
)
def test_startup_ends_with_setup_and_a_model_that_fails_is_unready_and_dead(
    state: str, probes: tuple[str, ...]
) -> None:
    with stating(state) as url:
        assert passed(url, state) == probes


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Return a runtime that holds a model which waits for files."""
    folder = tmp_path_factory.mktemp("probed") / _PROBED
    folder.mkdir()
    (folder / "run.py").write_text(_MODEL)
    (folder / "cog.yaml").write_text('build:\n  python_version: "3.13"\nrun: "run.py:Runner"\n')
    cog_nix("build", "--no-load", cwd=folder)
    runtime = find_runtime("bundle")
    runtime.load((folder / "result").resolve(), [_PROBED], SilentReporter())
    return runtime


def _await(url: str, state: str) -> None:
    deadline = time.monotonic() + 60
    seen = ""
    while seen != state:
        assert time.monotonic() < deadline, seen
        try:
            seen = httpx.get(f"{url}/health-check", timeout=5).json()["status"]
        except httpx.HTTPError as error:
            seen = str(error)
        time.sleep(0.05)


def _predict(url: str, **given: object) -> threading.Thread:
    thread = threading.Thread(
        target=lambda: httpx.post(f"{url}/predictions", json={"input": given}, timeout=60)
    )
    thread.start()
    return thread


@pytest.mark.network
@pytest.mark.nix
@pytest.mark.root
def test_cogs_server_is_probed_in_each_state(probed: Runtime, tmp_path: Path) -> None:
    request = ContainerRequest(_PROBED, mounts=((tmp_path, "/gate"),))
    with probed.start(request) as container:
        _await(container.url, "STARTING")
        assert passed(container.url, "STARTING") == ()
        (tmp_path / "set-up").touch()
        _await(container.url, "READY")
        assert passed(container.url, "READY") == _GOOD
        asking = _predict(container.url)
        _await(container.url, "BUSY")
        assert passed(container.url, "BUSY") == _GOOD
        (tmp_path / "answer").touch()
        asking.join()
        _await(container.url, "READY")
        _predict(container.url, dies=True).join()
        _await(container.url, "UNHEALTHY")
        assert passed(container.url, "UNHEALTHY") == _OVER


@pytest.mark.network
@pytest.mark.nix
@pytest.mark.root
def test_a_setup_that_fails_is_left_to_liveness(probed: Runtime, tmp_path: Path) -> None:
    (tmp_path / "set-up").touch()
    request = ContainerRequest(_PROBED, env={"FAILS": "1"}, mounts=((tmp_path, "/gate"),))
    with probed.start(request) as container:
        _await(container.url, "SETUP_FAILED")
        assert passed(container.url, "SETUP_FAILED") == _OVER


@pytest.fixture
def podman(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    (tmp_path / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
        f'[engine]\nruntime = "{"runc" if shutil.which("runc") else "crun"}"\n'
    )
    environment = {**os.environ, "CONTAINERS_CONF": str(tmp_path / "containers.conf")}

    def run(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["podman", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        if check and done.returncode:
            pytest.fail(f"podman {arguments[0]} ended with {done.returncode}\n{done.stderr}")
        return done

    return run


@pytest.fixture
def pod(
    podman: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Play the Deployment without its port, which needs a network of its own here."""
    folder = copy_project(project_path("unprivileged"), tmp_path / "unprivileged")
    cog_nix("build", "-o", "../image.tar", "-t", f"localhost/{_IMAGE}:latest", cwd=folder)
    podman("load", "--input", tmp_path / "image.tar")
    deployment = documents("serve.yaml")[0]
    (container,) = pod_of(deployment)["containers"]
    container["image"] = f"localhost/{_IMAGE}:latest"
    del container["ports"]
    played = tmp_path / "pod.yaml"
    played.write_text(yaml.safe_dump(deployment))
    podman("kube", "play", "--network", "none", played)
    yield podman
    podman("kube", "down", played, check=False)
    podman("rmi", "--force", f"localhost/{_IMAGE}:latest", check=False)


@pytest.mark.network
@pytest.mark.nix
@pytest.mark.root
def test_the_pod_serves_and_ends(pod: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    name = "greeter-pod-0-model"
    probe = pod_of(documents("serve.yaml")[0])["containers"][0]["readinessProbe"]["exec"]["command"]
    patient = "until " + '"$@"' + " 2>/dev/null; do sleep 0.2; done"
    pod("exec", name, "timeout", "60", "sh", "-c", patient, "sh", *probe)
    headers = "{'Content-Type': 'application/json'}"
    asked = f"u.Request('http://127.0.0.1:5000/predictions', b'{{\"input\":{{}}}}', {headers})"
    ask = f"import urllib.request as u; print(u.urlopen({asked}).read().decode())"
    answer = json.loads(pod("exec", name, "python", "-c", ask).stdout)
    assert answer["output"]["user"] == 1000
    assert answer["output"]["written"] == ["/tmp", "/tmp/.cache"]
    rights = pod("exec", name, "grep", "-E", "CapEff|NoNewPrivs|Seccomp:", "/proc/self/status").stdout.split()
    assert rights == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]
    pod("stop", "--time", "20", name)
    assert pod("inspect", name, "--format", "{{.State.ExitCode}}").stdout.strip() == "0"
