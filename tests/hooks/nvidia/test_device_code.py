"""Code for GPUs, compiled by the real nvcc in a command and in a source build, without a GPU."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cog_nix.store.nix import discover
from conftest import cog_nix, copy_project

pytestmark = [pytest.mark.network, pytest.mark.nix, pytest.mark.docker]

_PROJECTS = Path(__file__).parent / "projects"
_IMAGE = "cog-nix-test-device-code"
_NO_DRIVER = {35, 100}
"""cudaErrorInsufficientDriver, cudaErrorNoDevice: all is there but for what a machine has to bring."""
_PYTHON = """\
import ctypes, json, os, shutil, scaled_add
print(json.dumps({
    "command": ctypes.CDLL("/usr/local/lib/libadd.so").devices(),
    "source": scaled_add.devices(),
    "architectures": scaled_add.ARCHITECTURES,
    "toolkit": sorted(os.listdir("/usr/local/cuda")),
    "programs": [name for name in ("nvcc", "ptxas", "gcc") if shutil.which(name)],
    "variables": sorted(name for name in os.environ if "CUDA" in name),
}))
"""
_OTHERS = [
    pytest.param("13.0", "3.13", id="13.0-on-trixie"),
    pytest.param("11.8", "3.11", id="11.8-on-bookworm"),
]


def _copy(folder: Path) -> Path:
    copy_project(_PROJECTS / "device-code", folder)
    (folder / "dist").mkdir()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(_PROJECTS / "device-code-sdist", "device-code-sdist-1.0")
    (folder / "dist/device-code-sdist.tar.gz").write_bytes(packed.getvalue())
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = _copy(tmp_path_factory.mktemp("device") / "device-code")
    cog_nix("build", "-t", _IMAGE, cwd=folder)
    return folder


def _ask() -> Any:
    command = ["docker", "run", "--rm", _IMAGE, "python", "-c", _PYTHON]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def test_what_is_compiled_loads_without_a_gpu(project: Path) -> None:
    assert project.is_dir()
    found = _ask()
    assert found["command"] in _NO_DRIVER
    assert found["source"] in _NO_DRIVER


def test_variables_of_the_project_decide_what_is_compiled_for(project: Path) -> None:
    assert project.is_dir()
    assert _ask()["architectures"] == "8.0;9.0"


def test_nothing_of_the_toolkit_is_in_the_image(project: Path) -> None:
    assert project.is_dir()
    found = _ask()
    assert found["toolkit"] == ["kept"]  # what a command writes there is the command's
    assert found["programs"] == []
    assert found["variables"] == ["TORCH_CUDA_ARCH_LIST"]


def test_commands_give_the_same_bits_again(project: Path) -> None:
    cog_nix("build", "--no-cache", "--no-load", cwd=project)


def test_sources_give_the_same_bits_again(project: Path) -> None:
    nix = discover()

    def ask(*arguments: str) -> list[str]:
        ran = subprocess.run(nix.command("nix-store", *arguments), check=True, capture_output=True, text=True)
        return ran.stdout.split()

    (derivation,) = ask("--query", "--deriver", str((project / "result").readlink()))
    needed = ask("--query", "--requisites", derivation)
    (source,) = [path for path in needed if path.endswith("-device-code-sdist-1.0-built.drv")]
    ask("--realise", "--check", source)


@pytest.mark.parametrize(("cuda", "python"), _OTHERS)
def test_other_releases_compile_as_well(tmp_path: Path, cuda: str, python: str) -> None:
    folder = _copy(tmp_path / "device-code")
    text = (folder / "cog.yaml").read_text()
    # One command and one source will do: that they give the same bits is tried above.
    text = "".join(line for line in text.splitlines(keepends=True) if "nvcc -c" not in line)
    (folder / "cog.yaml").write_text(text.replace("12.4", cuda).replace("3.13", python))
    cog_nix("build", "--no-load", cwd=folder)
    assert json.loads((folder / "cog-nix.lock").read_text())["toolkit"]["name"] == f"CUDA {cuda}"
