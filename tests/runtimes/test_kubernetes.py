"""The manifests of examples/kubernetes: read as Kubernetes' API has them, and the pod started by Podman."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml

from cog_nix.check import project_path
from conftest import EXAMPLES, cog_nix, copy_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_FOLDER = EXAMPLES / "kubernetes"
_IMAGE = "cog-nix-test-pod"


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
    deployment = documents("serve.yaml")[0]
    probe = pod_of(deployment)["containers"][0]["readinessProbe"]["exec"]["command"]
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
