"""PyTorch with CUDA from an image: on the GPU where there is one, elsewhere everything up to the driver.

One build of several gigabytes serves all tests here.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import EXAMPLES, cog_nix

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.nix]

GPU = Path("/proc/driver/nvidia/version").exists()

PRODUCT = [[2, 23, 3], [38, 79, 78], [76, 69, 99]]
"""What the example's matrices of seed 1 make, with any device: sums of a few small integers are exact."""

LOADS = """
import importlib.metadata, json, subprocess, sys

load = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
answers = {}
for distribution in importlib.metadata.distributions():
    name = distribution.metadata["Name"].lower().replace("_", "-")
    if name.startswith("nvidia-") or name == "torch":
        for file in distribution.files:
            if ".so" in file.suffixes and "lib" in file.parts:
                path = str(distribution.locate_file(file))
                done = subprocess.run([sys.executable, "-c", load, path], capture_output=True, text=True)
                answers[file.name] = done.stderr.strip().rpartition("\\n")[2] if done.returncode else None
print(json.dumps(answers))
"""
"""Load each library of NVIDIA's wheels and of torch in a process of its own."""

VERSIONS = """
import importlib.metadata, json, torch

found = importlib.metadata.distributions()
installed = {one.metadata["Name"].lower().replace("_", "-"): one.version for one in found}
print(json.dumps({
    "installed": installed, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
    "nccl": list(torch.cuda.nccl.version()), "built": torch.backends.cuda.is_built(),
}))
"""


@pytest.fixture(scope="module")
def project(built_copy: Callable[[Path], Path]) -> Path:
    """A built copy of examples/torch-demo."""
    return built_copy(EXAMPLES / "torch-demo")


def inside(script: str) -> Any:
    """Run a script in a container without GPUs; return the JSON that it prints."""
    command = ["docker", "run", "--rm", "-i", "cog-nix-test-torch-demo", "python", "-W", "error", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def locked(project: Path) -> dict[str, str]:
    lock = json.loads((project / "cog-nix.lock").read_text())
    return {wheel["name"]: wheel["version"] for wheel in lock["wheels"]}


# Without a daemon, gigabytes are unpacked first: tests/hooks/nvidia tries with less what CUDA needs there.
@pytest.mark.parametrize(
    "runtime",
    [
        "docker",
        pytest.param("bundle", marks=pytest.mark.skipif(not GPU, reason="there is no GPU here")),
    ],
)
def test_torch_demo_multiplies_on_what_is_there(project: Path, runtime: str) -> None:
    output = json.loads(cog_nix("predict", "--runtime", runtime, "-i", "seed=1", cwd=project).stdout)
    assert output["product"] == PRODUCT
    assert (output["device"] != "cpu") == GPU
    assert output["torch"].split("+")[0] == locked(project)["torch"] == "2.6.0"


def test_torch_demo_computes_on_the_cpu_when_asked(project: Path) -> None:
    asked = ("-i", "seed=1", "-i", "device=cpu", "-i", "size=2")
    output = json.loads(cog_nix("predict", *asked, cwd=project).stdout)
    assert output["device"] == "cpu"
    assert [len(row) for row in output["product"]] == [2, 2]


@pytest.mark.skipif(GPU, reason="there is a GPU here")
def test_torch_demo_says_that_there_is_no_gpu(project: Path) -> None:
    done = cog_nix("predict", "-i", "device=cuda", cwd=project, check=False)
    assert done.returncode != 0
    assert "There is no GPU here" in done.stderr


def test_all_libraries_of_cuda_load_but_for_the_driver(project: Path) -> None:
    answers = inside(LOADS)
    assert {name.split(".so")[0] for name in answers} > {
        *("libcublas", "libcublasLt", "libcudart", "libcufft", "libcurand", "libcusolver", "libcusparse"),
        *("libcusparseLt", "libnccl", "libnvJitLink", "libnvrtc", "libcudnn", "libcudnn_ops", "libcudnn_adv"),
        *("libc10_cuda", "libtorch_cuda", "libtorch_cuda_linalg", "libcaffe2_nvrtc"),
    }
    failed = {name: answer for name, answer in answers.items() if answer}
    driver = "OSError: libcuda.so.1: cannot open shared object file: No such file or directory"
    assert failed == {"libcaffe2_nvrtc.so": driver}, "only this one is linked to the driver's library"
    assert (project / "cog-nix.lock").is_file()


def test_cuda_is_the_one_that_is_locked(project: Path) -> None:
    seen, lock = inside(VERSIONS), locked(project)
    nvidia = {name: version for name, version in lock.items() if name.startswith("nvidia-")}
    assert nvidia.items() <= seen["installed"].items()
    assert seen["built"] is True
    assert seen["cuda"] == ".".join(lock["nvidia-cuda-runtime-cu12"].split(".")[:2]) == "12.4"
    major, minor, patch = (int(part) for part in lock["nvidia-cudnn-cu12"].split(".")[:3])
    assert seen["cudnn"] == major * 10_000 + minor * 100 + patch
    assert seen["nccl"] == [int(part) for part in lock["nvidia-nccl-cu12"].split(".")[:3]]


def test_the_image_asks_for_gpus(project: Path) -> None:
    show = ["docker", "image", "inspect", "--format", "{{json .Config.Env}}", "cog-nix-test-torch-demo"]
    env = json.loads(subprocess.run(show, cwd=project, capture_output=True, text=True, check=True).stdout)
    assert {"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=all"} <= set(env)
