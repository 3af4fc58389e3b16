"""GPU models without a GPU: all that CUDA consists of is there but for the driver."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from bisect import bisect_right
from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
import stream

from cog_nix.store.nix import discover
from conftest import EXAMPLES, cog_nix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BY_NAME = Path(__file__).parent / "projects/cuda-by-name"

pytestmark = [pytest.mark.nix, pytest.mark.docker, pytest.mark.network]

_LOAD = """
import ctypes
for name in "libcublas.so.12 libcublasLt.so.12 libnccl.so.2".split():
    print(ctypes.CDLL(name)._name)
import ctranslate2
print(ctranslate2.get_cuda_device_count())
"""
_NO_DRIVER = {"35", "100"}
"""cudaErrorInsufficientDriver, cudaErrorNoDevice: all is there but for what a machine has to bring."""
_ALL_OF_IT = """
import ctypes, pathlib
for path in sorted(pathlib.Path("/usr/local/lib/python3.13/site-packages/nvidia").glob("*/lib/lib*.so*")):
    try:
        ctypes.CDLL(path.name)
    except OSError as error:
        print(path.name, error)
"""
_INDUCTOR = """
import torch
compiled = torch.compile(lambda x: (x.sin() + x.cos()).sum())
print(torch.version.cuda, round(float(compiled(torch.zeros(100)))))
"""
_TRITON = """
import re, subprocess
import triton, triton.language as tl
from pathlib import Path
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia import driver
from triton.compiler import ASTSource

@triton.jit
def double(source, target, BLOCK: tl.constexpr):
    index = tl.arange(0, BLOCK)
    tl.store(target + index, 2 * tl.load(source + index))

signature = {"source": "*fp32", "target": "*fp32", "BLOCK": "constexpr"}
kernel = triton.compile(
    ASTSource(double, signature=signature, constants={"BLOCK": 64}), target=GPUTarget("cuda", 80, 32)
)
print(kernel.asm["cubin"][:4])

# A library with the driver's functions and nothing in them, where hosts put the real one.
code = Path(driver.__file__).with_name("driver.c").read_text()
names = sorted(set(re.findall(r"\\b(cu[A-Z]\\w+)\\s*\\(", code)))
Path("/tmp/driver.c").write_text("".join(f"int {name}(void) {{ return 100; }}\\n" for name in names))
library = "/usr/lib/x86_64-linux-gnu/libcuda.so.1"
subprocess.run(["gcc", "-shared", "-Wl,-soname,libcuda.so.1", "-o", library, "/tmp/driver.c"], check=True)
subprocess.run(["/sbin/ldconfig"], check=True)
print(driver.compile_module_from_src(code, "cuda_utils").__name__)
"""


@pytest.fixture(scope="module")
def by_name(build_project: Callable[[Path], str]) -> str:
    """Return the image of a project whose libraries nothing names but files' text."""
    return build_project(BY_NAME)


@pytest.fixture(scope="module")
def torch(build_project: Callable[[Path], str]) -> str:
    """Return the image of a project with PyTorch and its CUDA: the one that tests/examples builds as well."""
    return build_project(EXAMPLES / "torch-demo")


def _inside(image: str, *command: str, env: tuple[str, ...] = ()) -> str:
    variables = [word for one in env for word in ("-e", one)]
    done = subprocess.run(
        ["docker", "run", "--rm", *variables, image, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# With the variable emptied, the linker's cache alone has to do.
@pytest.mark.parametrize("env", [(), ("LD_LIBRARY_PATH=",)], ids=["as-it-is", "without-a-path"])
def test_libraries_that_are_loaded_by_name_are_found(by_name: str, env: tuple[str, ...]) -> None:
    printed = _inside(by_name, "python", "-c", _LOAD, env=env)
    assert printed.split() == ["libcublas.so.12", "libcublasLt.so.12", "libnccl.so.2", "0"]


@pytest.mark.parametrize("runtime", ["docker", "bundle"])
def test_a_model_that_loads_libraries_by_name_runs(built_copy: Callable[[Path], Path], runtime: str) -> None:
    answered = cog_nix("predict", "--runtime", runtime, cwd=built_copy(BY_NAME))
    assert answered.stdout.strip().isdigit()


def test_what_commands_compiled_finds_all_but_the_driver(by_name: str) -> None:
    count = "import ctypes; print(ctypes.CDLL('libcount.so').devices())"
    assert _inside(by_name, "python", "-c", count, env=("LD_LIBRARY_PATH=",)).strip() in _NO_DRIVER
    linked = _inside(by_name, "ldd", "/usr/local/lib/libdriver.so", env=("LD_LIBRARY_PATH=",))
    lines = {words[0]: words[2] for line in linked.splitlines() if len(words := line.split()) > 2}
    assert lines["libcudart.so.12"].endswith("site-packages/nvidia/cuda_runtime/lib/libcudart.so.12")
    assert [name for name, place in lines.items() if place == "not"] == ["libcuda.so.1"]


# One of them with commands that use nvcc, and run ldconfig with all that builds have and images lack.
@pytest.mark.parametrize("image", ["by_name", "torch"])
def test_ldconfig_in_the_container_changes_nothing(image: str, request: pytest.FixtureRequest) -> None:
    program = "ldconfig -p > /tmp/before && ldconfig && ldconfig -p | diff /tmp/before - && ldconfig -p"
    listing = _inside(request.getfixturevalue(image), "sh", "-c", program)
    assert "site-packages/nvidia/cublas/lib/libcublas.so.12" in listing


def test_the_lock_says_why(tmp_path: Path) -> None:
    for file in BY_NAME.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    said = cog_nix("lock", cwd=tmp_path).stderr
    assert "Adding cuda-toolkit: ctranslate2 4.8.5: ctranslate2.libs/libctranslate2-" in said
    lock = json.loads((tmp_path / "cog-nix.lock").read_text())
    versions = {wheel["name"]: wheel["version"] for wheel in lock["wheels"]}
    assert versions["cuda-toolkit"].startswith("12.4.")
    assert versions["nvidia-cublas-cu12"].startswith("12.4.")
    explained = cog_nix("lock", "--explain", "nvidia-cublas-cu12", cwd=tmp_path).stdout
    assert "cuda-toolkit needs nvidia-cublas-cu12\n" in explained
    assert "names libcublas.so.12\n" in explained


def test_every_library_of_cuda_loads_without_a_driver(torch: str) -> None:
    assert _inside(torch, "python", "-c", _ALL_OF_IT, env=("LD_LIBRARY_PATH=",)) == ""


def test_torch_compiles_what_stays_on_the_cpu(torch: str) -> None:
    assert _inside(torch, "python", "-c", _INDUCTOR) == "12.4 100\n"


def test_triton_compiles_up_to_the_driver(torch: str) -> None:
    program = f"cat > /tmp/kernel.py <<'END'\n{_TRITON}\nEND\npython /tmp/kernel.py"
    assert _inside(torch, "sh", "-c", program).splitlines() == [str(b"\x7fELF"), "cuda_utils"]


def test_packages_are_whole(torch: str) -> None:
    assert _inside(torch, "pip", "check") == "No broken requirements found.\n"


class _Layer(io.RawIOBase):
    """A layer's tar. What tarfile seeks over is not read."""

    def __init__(self, layer: stream.Layer, store: Path) -> None:
        ranges = [one for one in layer["parts"] if "path" in one]
        assert len(ranges) == len(layer["parts"]), "all of it is in the store"
        self._parts = [(store / Path(one["path"]).relative_to("/nix/store"), one) for one in ranges]
        self._starts = [0, *accumulate(one["size"] for one in ranges)]
        self._at = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        assert whence == io.SEEK_SET
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        assert size >= 0
        found = b""
        while len(found) < size and self._at < self._starts[-1]:
            number = bisect_right(self._starts, self._at) - 1
            path, part = self._parts[number]
            inside = self._at - self._starts[number]
            file = os.open(path, os.O_RDONLY)
            data = os.pread(file, min(size - len(found), part["size"] - inside), part["offset"] + inside)
            os.close(file)
            assert data, path
            found += data
            self._at += len(data)
        return found


def _large_files(image: stream.Image, store: Path) -> Iterator[tuple[int, str, IO[bytes]]]:
    """Yield size, path and content of the files over 1 MB in all layers."""
    for layer in image["layers"]:
        with tarfile.open(fileobj=_Layer(layer, store), mode="r:") as tar:
            for member in tar:
                if member.isreg() and member.size > 1 << 20:
                    content = tar.extractfile(member)
                    assert content
                    yield member.size, member.name, content


def test_no_large_file_is_there_twice(built_copy: Callable[[Path], Path]) -> None:
    """Hashes those of one size: there are gigabytes."""
    nix = discover()
    image = stream.read(nix.real(str((built_copy(EXAMPLES / "torch-demo") / "result").readlink())))
    large = list(_large_files(image, nix.store_dir))
    assert len(large) > 50
    sizes = Counter(size for size, _, _ in large)
    paths: dict[str, list[str]] = {}
    for size, path, content in large:
        if sizes[size] > 1:
            paths.setdefault(hashlib.file_digest(content, "sha256").hexdigest(), []).append(path)  # type: ignore[arg-type]
    assert [same for same in paths.values() if len(same) > 1] == []
