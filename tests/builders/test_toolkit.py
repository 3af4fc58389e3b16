"""A compiler for GPUs, laid out from packages and wheels."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import compiling
import pytest
import toolkit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_MATH = """\
extern __DEVICE_FUNCTIONS_DECL__ __device_builtin__ double                 sinpi(double x);
extern __DEVICE_FUNCTIONS_DECL__ __device_builtin__ float                  rsqrtf(float x);
extern __DEVICE_FUNCTIONS_DECL__ __device_builtin__ float                  sincosf(float x);
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("usr/lib/nvidia-cuda-toolkit/bin/nvcc", "bin/nvcc.real"),
        ("usr/bin/nvcc", None),
        ("usr/bin/cudafe++", "bin/cudafe++"),
        ("usr/lib/nvidia-cuda-toolkit/bin/cicc", "nvvm/bin/cicc"),
        ("usr/lib/nvidia-cuda-toolkit/bin/crt/link.stub", "bin/crt/link.stub"),
        ("usr/lib/nvidia-cuda-toolkit/bin/g++", None),
        ("usr/lib/nvidia-cuda-toolkit/libdevice/libdevice.10.bc", "nvvm/libdevice/libdevice.10.bc"),
        ("usr/lib/x86_64-linux-gnu/libcuda.so.550.163.01", "lib64/stubs/libcuda.so"),
        ("usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so.535.1", "lib64/stubs/libcuda.so"),
        ("usr/share/doc/nvidia-cuda-toolkit/copyright", None),
    ],
)
def test_where_files_of_packages_go(path: str, expected: str | None) -> None:
    assert toolkit.place(path) == expected


def _wheel(path: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return path


@pytest.fixture
def spec(tmp_path: Path, make_deb: Callable[..., Path]) -> dict[str, Any]:
    """Return the spec of a toolkit that has a file of each kind."""
    files = [
        (tarfile.TarInfo("./usr/lib/nvidia-cuda-toolkit/bin/nvcc"), b"compiler"),
        (tarfile.TarInfo("./usr/bin/ptxas"), b"Debian's"),
        (tarfile.TarInfo("./usr/share/doc/nvidia-cuda-toolkit/copyright"), b"left out"),
    ]
    headers = _wheel(
        tmp_path / "runtime-12.4.whl",
        {
            "nvidia/__init__.py": "",
            "nvidia/cuda_runtime/include/cuda_runtime.h": "12.4",
            "nvidia/cuda_runtime/lib/libcudart.so.12": "own",
            "nvidia/cuda_nvcc/include/crt/math_functions.h": _MATH,
            "nvidia/cuda_nvcc/bin/ptxas": "NVIDIA's",
        },
    )
    newer = _wheel(
        tmp_path / "runtime-12.9.whl",
        {
            "nvidia/cuda_runtime/include/cuda_newer.h": "12.9",
            "nvidia/cuda_runtime/lib/libcudart_static.a": "static",
            "nvidia/cuda_runtime/lib/libcudadevrt.a": "too new",
        },
    )
    libraries = _wheel(
        tmp_path / "cublas.whl",
        {
            "nvidia/cublas/include/cublas_v2.h": "",
            "nvidia/cublas/lib/libcublas.so.12": "",
            "nvidia/cuda_runtime/lib/libcudart.so.12": "",
            "nvidia_cublas_cu12-12.4.dist-info/METADATA": "",
        },
    )
    return {
        "debs": [str(make_deb(*files))],
        "wheels": [
            {"name": "nvidia-cuda-runtime-cu12", "version": "12.9.79", "path": str(newer)},
            {"name": "nvidia-cuda-runtime-cu12", "version": "12.4.127", "path": str(headers)},
        ],
        "libraries": [str(libraries)],
        "python": "3.13",
        "host_compiler": "13",
    }


def test_files_are_where_nvidia_has_them(spec: dict[str, Any], tmp_path: Path) -> None:
    files = toolkit.collect(spec, tmp_path / "scratch")

    def text(name: str) -> str:
        source = files[name].source
        return source.read_text() if source else files[name].data.decode()

    assert text("bin/nvcc.real") == "compiler"
    assert text("bin/ptxas") == "Debian's"
    assert "--keep-dir" in text("bin/nvcc")
    assert files["bin/nvcc"].mode == 0o755
    assert text("include/cuda_runtime.h") == "12.4"
    assert text("lib64/libcudart.so.12") == "own"
    assert all(entry.path.startswith("usr/local/cuda/") for entry in files.values())


def test_of_a_newer_runtime_only_the_static_library_is_taken(spec: dict[str, Any], tmp_path: Path) -> None:
    files = toolkit.collect(spec, tmp_path / "scratch")
    assert files["lib64/libcudart_static.a"].source
    assert "include/cuda_newer.h" not in files
    assert files["lib64/libcudadevrt.a"].source is None


def test_the_projects_libraries_are_linked_to(spec: dict[str, Any], tmp_path: Path) -> None:
    files = toolkit.collect(spec, tmp_path / "scratch")
    site = "/usr/local/lib/python3.13/site-packages/nvidia/cublas"
    assert files["include/cublas_v2.h"].target == f"{site}/include/cublas_v2.h"
    assert files["lib64/libcublas.so.12"].target == f"{site}/lib/libcublas.so.12"
    assert files["lib64/libcublas.so"].target == "libcublas.so.12"
    assert files["lib"].target == "lib64"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        pytest.param("13", {"gcc": "/usr/bin/gcc-13", "c++": "/usr/bin/g++-13"}, id="older"),
        pytest.param("", {}, id="the-systems"),
    ],
)
def test_the_host_compiler_stands_beside_it(
    spec: dict[str, Any], tmp_path: Path, version: str, expected: dict[str, str]
) -> None:
    files = toolkit.collect({**spec, "host_compiler": version}, tmp_path / "scratch")
    found = {name: files[f"bin/{name}"].target for name in ("gcc", "c++") if f"bin/{name}" in files}
    assert found == expected


def test_declarations_say_what_glibc_says() -> None:
    changed = toolkit.with_exceptions(_MATH.encode()).decode()
    assert "sinpi(double x) COG_NIX_PI_FUNCTIONS;" in changed
    assert "rsqrtf(float x) COG_NIX_RSQRT;" in changed
    assert "sincosf(float x);" in changed
    assert changed.startswith("#include <features.h>\n")
    said = b"extern double sinpi(double x) __THROW;\n"
    assert toolkit.with_exceptions(said) == said


def test_the_fragment_is_the_same_again(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        monkeypatch.setenv("out", str(tmp_path / f"{number}/out"))
        monkeypatch.setenv("NIX_BUILD_TOP", str(tmp_path / f"{number}"))
        toolkit.main(spec)
        made.append((tmp_path / f"{number}/out/files.tar").read_bytes())
    assert made[0] == made[1]
    with tarfile.open(fileobj=io.BytesIO(made[0] + bytes(1024))) as tar:
        assert "usr/local/cuda/bin/nvcc" in tar.getnames()


@pytest.fixture
def nvcc(tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that calls the script with a compiler that prints what it is given."""
    real = tmp_path / "nvcc.real"
    real.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@"\n[ "$1" = --keep ] && touch "$3/a.ptx"\nexit "${FAILS:-0}"\n'
    )
    real.chmod(0o755)
    script = tmp_path / "nvcc"
    library = tmp_path / "libcudart_static.a"
    library.touch()
    text = toolkit.NVCC.replace("/usr/local/cuda/bin/nvcc.real", str(real))
    script.write_text(text.replace("/usr/local/cuda/lib64/libcudart_static.a", str(library)))
    script.chmod(0o755)
    (tmp_path / "tmp").mkdir()

    def call(*words: str, fails: int = 0) -> list[str]:
        finished = subprocess.run(
            [script, *words],
            env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path / "tmp"), "FAILS": str(fails)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == fails, finished.stderr
        return finished.stdout.splitlines()

    return call


def test_objects_have_intermediate_files_of_their_own(nvcc: Callable[..., list[str]]) -> None:
    words = ["-c", "a file.cu", "-o", "a.o"]
    assert nvcc(*words) == ["-objtemp", *words]


@pytest.mark.parametrize("fails", [0, 3])
def test_other_output_has_a_folder_named_after_the_command(
    nvcc: Callable[..., list[str]],
    tmp_path: Path,
    fails: int,
) -> None:
    first = nvcc("-shared", "a.cu", "-o", "a.so", fails=fails)
    assert first == nvcc("-shared", "a.cu", "-o", "a.so", fails=fails)
    assert first[:2] == ["--keep", "--keep-dir"]
    assert first[3:] == ["-shared", "a.cu", "-o", "a.so"]
    assert first[2] != nvcc("-shared", "b.cu", "-o", "b.so")[2]
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["-c", "a.cu"], ["-objtemp", "-cudart", "shared", "-c", "a.cu"], id="nothing-said"),
        pytest.param(["-cudart=none", "-c", "a.cu"], ["-objtemp", "-cudart=none", "-c", "a.cu"], id="said"),
    ],
)
def test_the_runtime_is_shared_where_there_is_no_other(
    nvcc: Callable[..., list[str]], tmp_path: Path, words: list[str], expected: list[str]
) -> None:
    (tmp_path / "libcudart_static.a").unlink()
    assert nvcc(*words) == expected


@pytest.mark.parametrize("word", ["--version", "-V", "--keep", "-dryrun"])
def test_other_questions_are_passed_on(nvcc: Callable[..., list[str]], word: str) -> None:
    assert nvcc(word, "a.cu") == [word, "a.cu"]


@pytest.mark.skipif(shutil.which("ar") is None, reason="binutils are not installed")
def test_the_device_runtime_that_is_none_is_an_archive(tmp_path: Path) -> None:
    (tmp_path / "libcudadevrt.a").write_bytes(toolkit.no_device_runtime())
    listed = subprocess.run(["ar", "t", "libcudadevrt.a"], cwd=tmp_path, capture_output=True, check=True)
    assert listed.stdout == b"empty.o\n"
    symbols = subprocess.run(["nm", "libcudadevrt.a"], cwd=tmp_path, capture_output=True, check=True)
    assert b"no symbols" in symbols.stderr


@pytest.mark.parametrize(
    ("processors", "gigabytes", "expected"),
    [(2, 24, 2), (64, 64, 12), (4, 2, 1)],
    ids=["enough", "memory-is-less", "at-least-one"],
)
def test_as_many_compilers_run_as_memory_holds(processors: int, gigabytes: int, expected: int) -> None:
    assert compiling.jobs(processors, gigabytes << 30) == expected


def test_variables_come_with_a_compiler_only() -> None:
    assert compiling.variables({}) == {}
    said = compiling.variables(
        {"programs": ["/usr/local/cuda/bin"], "environment": [["MAX_JOBS", "1"], ["A", "x"], ["A", "y"]]}
    )
    assert said["PATH"].startswith("/usr/local/cuda/bin:/usr/local/sbin:")
    assert (said["MAX_JOBS"], said["A"]) == ("1", "y")
