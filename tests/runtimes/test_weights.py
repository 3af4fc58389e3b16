"""Managed weights and files by reference, as users have them, in each runtime."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cog_nix.system.digests import digest_of
from cog_nix.weights.store import WeightsStore
from conftest import ROOT, cog_nix
from tests.managed import website
from tests.registry.conftest import registry, start_registry  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.nix, pytest.mark.network]

FILES = {"config.json": b"{}", "deep/model.bin": bytes(range(256)) * 45_000}  # the second is large
MODEL = """\
import json
import os
from pathlib import Path

from cog import BaseRunner

PLACES = ("/src/unet", "/src/vae.bin", "/opt/clip.bin", "/opt/mounted.bin")


def look() -> str:
    found = {}
    for place in map(Path, PLACES):
        files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
        for path in files:
            found[str(path)] = [path.stat().st_size, os.access(path, os.W_OK)]
    return json.dumps(found)


class Runner(BaseRunner):
    def run(self) -> str:
        return look()


def train() -> str:
    return look()
"""
UNET = {f"/src/unet/{path}": [len(content), False] for path, content in FILES.items()}
SIZE = len(website.CONTENT)


@pytest.fixture(params=[pytest.param("docker", marks=pytest.mark.docker), "podman", "bundle"], autouse=True)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, project: Path) -> str:
    """The runtime that the commands of a test use."""
    if request.param == "podman":
        request.getfixturevalue("podman_host")
    monkeypatch.setenv("COG_NIX_RUNTIME", request.param)
    monkeypatch.setenv("COG_CACHE_DIR", str(project.parent / "cache"))
    return str(request.param)


@pytest.fixture(scope="module", params=["", "1000:1000"], ids=["root", "user"])
def project(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    registry: str,  # noqa: F811 - the fixture
) -> Iterator[Path]:
    """A project whose weights were imported, from a folder that is gone since, and locked."""
    folder = tmp_path_factory.mktemp("weights") / "cog-nix-test-weights"
    source = folder.parent / "source"
    for path, content in FILES.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(content)
    folder.mkdir()
    (folder / "run.py").write_text(MODEL)
    server = website.Server()
    with website.serving(server), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COG_CACHE_DIR", str(folder.parent / "cache"))
        (folder / "cog.yaml").write_text(
            'build:\n  python_version: "3.13"\nrun: "run.py:Runner"\ntrain: "run.py:train"\n'
            f"model: {registry}/cog-nix-test/weights\n"
            f"weights:\n  - {{name: unet, target: /src/unet, source: {{uri: file://{source}}}}}\n"
        )
        entries = [
            f'  {{ path = "{path}", url = "{server.url}"{more} }},\n'
            for path, more in (("vae.bin", ""), ("/opt/clip.bin", ""), ("/opt/mounted.bin", ", mount = true"))
        ]
        (folder / "cog-nix.toml").write_text(
            f'[image]\nuser = "{request.param}"\n' * bool(request.param)
            + f"[weights]\nfiles = [\n{''.join(entries)}]\n"
        )
        cog_nix("weights", "import", cwd=folder)
        cog_nix("lock", cwd=folder)
    shutil.rmtree(source)
    yield folder
    for program in filter(shutil.which, ("docker", "podman")):  # the registry's port is another one each time
        subprocess.run([program, "rmi", f"{registry}/cog-nix-test/weights"], capture_output=True, check=False)
    assert {path.name for path in folder.iterdir()} <= {
        *("cog.yaml", "cog-nix.toml", "cog-nix.lock", "weights.lock", "run.py", "vae.bin", "result", ".cog"),
        "__pycache__",  # of a command
    }, "nothing stays of what weights were mounted on"


def expected(project: Path, *, mounted: bool = False) -> dict[str, Any]:
    """What the model sees; root writes to what is in the image or the project, a user to what is its own.

    Args:
        project: whose settings may name a user.
        mounted: whether ``/src`` is the project's folder, which here is root's.
    """
    root = "user" not in (project / "cog-nix.toml").read_text()
    files = {"/src/vae.bin": root or not mounted, "/opt/clip.bin": root, "/opt/mounted.bin": False}
    return UNET | {path: [SIZE, can] for path, can in files.items()}


def test_a_prediction_sees_them(project: Path) -> None:
    assert json.loads(cog_nix("run", cwd=project).stdout) == expected(project)


def test_a_training_sees_them(project: Path) -> None:
    done = cog_nix("train", "-o", str(project.parent / "trained"), cwd=project)
    assert "/src/unet/deep/model.bin" in (project.parent / "trained").read_text() + done.stdout


def test_a_command_sees_them_and_cannot_write_to_them(project: Path) -> None:
    done = cog_nix("exec", "python", "-c", "import run; print(run.look())", cwd=project)
    assert json.loads(done.stdout) == expected(project, mounted=True)
    done = cog_nix("exec", "sh", "-c", "echo 1 > /src/unet/config.json", cwd=project, check=False)
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr
    path = WeightsStore(project.parent / "cache/weights").path(digest_of(FILES["config.json"]))
    assert path.read_bytes() == FILES["config.json"]


def test_a_server_sees_them(project: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    with subprocess.Popen(
        [sys.executable, "-m", "cog_nix", "-q", "serve", "-p", str(port)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": paths},
    ) as serving:
        for _ in range(600):
            try:
                said = httpx.post(f"http://127.0.0.1:{port}/predictions", json={"input": {}}).json()
                if "output" in said:
                    break
            except httpx.HTTPError:
                assert serving.poll() is None
            time.sleep(0.2)
        serving.send_signal(signal.SIGINT)
        serving.wait(60)
    assert json.loads(said["output"]) == expected(project, mounted=True)


def test_a_missing_file_is_told_and_pulled(project: Path) -> None:
    path = WeightsStore(project.parent / "cache/weights").path(digest_of(FILES["deep/model.bin"]))
    path.unlink()
    for command in (["run"], ["train"], ["serve"], ["exec", "true"]):
        done = cog_nix(*command, cwd=project, check=False)
        assert done.returncode == 1
        assert "unet" in done.stderr
        assert "missing deep/model.bin" in done.stderr
        assert "cog-nix weights pull" in done.stderr
        assert "Starting" not in done.stderr
    cog_nix("weights", "pull", cwd=project)
    assert path.read_bytes() == FILES["deep/model.bin"]
    assert json.loads(cog_nix("run", cwd=project).stdout) == expected(project)


def test_they_are_in_the_image_where_that_is_asked_for(project: Path, name: str) -> None:
    tag = f"cog-nix-test-weights-inside-{name}"
    cog_nix("build", "--weights", "inside", "-t", tag, cwd=project)
    pushed = json.loads(cog_nix("push", "--weights", "inside", "--json", cwd=project).stdout)
    assert "weights" not in pushed
    found = json.loads(cog_nix("run", tag, cwd=project.parent).stdout)
    assert {path: size for path, (size, _) in found.items()} == {
        path: size for path, (size, _) in expected(project).items() if path != "/opt/mounted.bin"
    }
