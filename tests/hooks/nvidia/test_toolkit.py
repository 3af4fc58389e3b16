"""Which CUDA toolkit builds get, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import Build, Config, GpuSettings, Settings
from cog_nix.errors import LockError
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.lock.model import Artifact, Source, Wheel
from cog_nix.plugins.spec import Context, ToolkitChoice, ToolkitRequest
from cog_nix.report import SilentReporter
from cog_nix_hooks import nvidia
from cog_nix_hooks.nvidia import toolkit

if TYPE_CHECKING:
    from pathlib import Path

_ARTIFACT = Artifact("it", "https://mirror.example.org/it", "ab", 1)
_RUNTIME = Wheel("nvidia-cuda-runtime-cu12", "12.6.77", _ARTIFACT)
_COMPILED = Wheel("ops", "1.0", _ARTIFACT, source=Source("sdist", device_code=True))
_PLAIN = Wheel("docopt", "0.6", _ARTIFACT, source=Source("sdist"))


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(Settings(), CachingFetcher(tmp_path, SilentReporter()), SilentReporter(), tmp_path)


def request(*wheels: Wheel, suite: str = "trixie", **build: Any) -> ToolkitRequest:
    given = {"gpu": True, "cuda": "12.4.1", **build}
    return ToolkitRequest(Config(build=Build(**given)), suite, wheels)


def chosen(asked: ToolkitRequest, setting: bool | str | None = None) -> ToolkitChoice:  # noqa: FBT001
    found = toolkit.choose(asked, setting=setting, warn=pytest.fail)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("asked", "setting"),
    [
        pytest.param(request(_RUNTIME), None, id="nothing-to-build"),
        pytest.param(request(_PLAIN), None, id="source-without-device-code"),
        pytest.param(request(pre_install=("echo hello",)), None, id="command-that-compiles-nothing"),
        pytest.param(request(_COMPILED, gpu=False), None, id="no-gpu"),
        pytest.param(request(gpu=False), True, id="no-gpu-whatever-the-setting"),
        pytest.param(request(_COMPILED), False, id="switched-off"),
    ],
)
def test_nobody_gets_it_without_need(asked: ToolkitRequest, setting: bool | None) -> None:  # noqa: FBT001
    assert toolkit.choose(asked, setting=setting, warn=pytest.fail) is None


@pytest.mark.parametrize(
    ("asked", "setting", "commands"),
    [
        pytest.param(request(_COMPILED), None, False, id="source"),
        pytest.param(request(pre_install=("nvcc a.cu",)), None, True, id="command"),
        pytest.param(request(pre_install=("./build.sh",)), True, True, id="setting"),
        pytest.param(request(_COMPILED), "12.4", True, id="version"),
    ],
)
def test_who_sees_it(asked: ToolkitRequest, setting: bool | str | None, commands: bool) -> None:  # noqa: FBT001
    assert chosen(asked, setting).commands is commands


@pytest.mark.parametrize(
    ("wheels", "cuda", "setting", "name"),
    [
        pytest.param((_RUNTIME,), "11.8", None, "CUDA 12.4", id="what-the-packages-are-built-with"),
        pytest.param(
            (replace(_RUNTIME, name="nvidia-cuda-runtime", version="13.2.75"),),
            "12.4",
            None,
            "CUDA 13.2",
            id="names-without-a-suffix",
        ),
        pytest.param(
            (replace(_RUNTIME, name="nvidia-cuda-runtime", version="13.9.1"),),
            "12.4",
            None,
            "CUDA 13.3",
            id="newer-than-known",
        ),
        pytest.param(
            (Wheel("torch", "2.1.0+cu118", _ARTIFACT),), "12.1", None, "CUDA 11.8", id="torch-says-so"
        ),
        pytest.param((), "12.1.1", None, "CUDA 12.4", id="older-than-known"),
        pytest.param((), "13.0.2", None, "CUDA 13.0", id="cuda-of-cog-yaml"),
        pytest.param((_RUNTIME,), "12.4", "13.1", "CUDA 13.1", id="setting"),
    ],
)
def test_its_release_fits_the_packages(
    wheels: tuple[Wheel, ...], cuda: str, setting: str | None, name: str
) -> None:
    asked = request(*wheels, cuda=cuda, suite="bookworm", pre_install=("nvcc a.cu",))
    assert chosen(asked, setting).name == name


@pytest.mark.parametrize(
    ("suite", "cuda", "compiler"),
    [
        pytest.param("trixie", "12.4", "13", id="default-is-too-new"),
        pytest.param("bookworm", "12.4", "", id="default-fits"),
        pytest.param("bookworm", "11.8", "11", id="old-toolkit"),
        pytest.param("trixie", "13.0", "", id="new-toolkit"),
    ],
)
def test_its_host_compiler_is_one_that_it_takes(suite: str, cuda: str, compiler: str) -> None:
    found = chosen(request(suite=suite, cuda=cuda, pre_install=("nvcc a.cu",)))
    assert found.host_compiler == compiler
    assert found.build_packages == ((f"g++-{compiler}",) if compiler else ())


@pytest.mark.parametrize(
    ("asked", "setting", "message", "hint"),
    [
        pytest.param(
            request(_COMPILED, cuda="10.1"), None, "the compiler of CUDA 10.1", "[gpu] toolkit", id="release"
        ),
        pytest.param(request(_COMPILED), "12.6", "there are 11.8, 12.4", "[gpu] toolkit", id="setting"),
        pytest.param(
            request(_COMPILED, cuda="11.8"),
            None,
            "Ops 1.0, which is built from source, needs a compiler for GPUs: CUDA 11.8 takes GCC up to 11,"
            " and Debian trixie has none",
            'suite = "bookworm"',
            id="suite",
        ),
    ],
)
def test_what_cannot_be_had_is_told(
    asked: ToolkitRequest, setting: str | None, message: str, hint: str
) -> None:
    with pytest.raises(LockError) as caught:
        toolkit.choose(asked, setting=setting, suite="trixie", warn=pytest.fail)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("asked", "who"),
    [
        pytest.param(request(_COMPILED, cuda="11.8"), "ops 1.0, which is built from source,", id="source"),
        pytest.param(
            request(cuda="11.8", pre_install=("nvcc a.cu",)), "the command 'nvcc a.cu'", id="command"
        ),
    ],
)
def test_what_the_suite_has_no_compiler_for_is_built_on_one_that_has(asked: ToolkitRequest, who: str) -> None:
    found = chosen(asked)
    assert (found.suite, found.host_compiler) == ("bookworm", "11")
    assert found.because == (
        f"The image is made on Debian bookworm: {who} compiles for GPUs, CUDA 11.8 takes GCC up to 11, and"
        " trixie has none so old"
    )
    there = chosen(replace(asked, suite="bookworm"))
    assert (there.suite, there.because, there.name) == ("", "", found.name)


@pytest.mark.parametrize("cuda", ["11.8", "10.1"])
def test_what_may_compile_goes_without_a_compiler_that_there_is_none_of(cuda: str) -> None:
    said: list[str] = []
    asked = request(cuda=cuda, pre_install=("pip install git+https://git.example.org/someone/plain",))
    assert toolkit.choose(asked, setting=None, warn=said.append) is None
    (warning,) = said
    assert "The command 'pip install git+https://git.example.org/someone/plain' may need" in warning
    assert "It is built without one; if it does compile for GPUs: " in warning


def test_what_it_is_made_of() -> None:
    found = chosen(request(_COMPILED))
    assert found.packages == (("trixie", "non-free", ("libcuda1", "nvidia-cuda-toolkit")),)
    assert "nvidia-cuda-nvcc-cu12==12.4.131" in found.requirements[0]
    complete = chosen(request(_COMPILED, cuda="13.0"))
    assert complete.packages == (("trixie", "non-free", ("libcuda1",)),)
    assert "nvidia-cuda-nvcc==13.0.*" in complete.requirements[0]


@pytest.mark.parametrize("release", toolkit.RELEASES, ids=lambda release: release.version)
def test_builds_are_told_what_to_compile_for(release: toolkit.Release) -> None:
    said = dict(toolkit.environment(release))
    assert said["CUDA_HOME"] == said["CUDA_PATH"] == "/usr/local/cuda"
    assert said["TORCH_CUDA_ARCH_LIST"].split(";")[-1] == f"{release.architectures[-1]}+PTX"
    named = said["CUDAARCHS"].split(";")
    assert [name.removesuffix("-real") for name in named] == [
        one.replace(".", "") for one in release.architectures
    ]
    assert not named[-1].endswith("-real")


@pytest.mark.parametrize(
    ("setting", "expected"), [pytest.param(None, True, id="unset"), pytest.param(False, False, id="off")]
)
def test_the_plugin_goes_by_the_settings(
    context: Context,
    setting: bool | None,  # noqa: FBT001
    expected: bool,  # noqa: FBT001
) -> None:
    context = replace(context, settings=Settings(gpu=GpuSettings(setting)))
    found = nvidia.provide_toolkit(request(_COMPILED), context)
    assert (found is not None) is expected
