"""Which Python packages are asked for when CUDA's libraries are missing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cog_nix.config.model import Build, Config
from cog_nix.lock.model import Artifact, Source, Wheel
from cog_nix.plugins.spec import FoundRequirement, LibraryNeed, PythonLibraryRequest
from cog_nix_hooks import nvidia
from cog_nix_hooks.nvidia.libraries import _packages, families
from cog_nix_hooks.nvidia.metadata import is_part

_SUFFIX = re.compile(r"-cu\d{2}$")


@dataclass
class _Case:
    """A project as the hook is told of it."""

    requires: dict[str, tuple[str, ...]] = field(default_factory=dict)
    wheels: list[Wheel] = field(default_factory=list)
    needs: list[LibraryNeed] = field(default_factory=list)
    named: list[LibraryNeed] = field(default_factory=list)
    met: tuple[str, ...] = ()
    """What every owner asks for as well, and has."""

    def wheel(self, name: str, version: str = "1.0", *requires: str, source: bool = False) -> _Case:
        artifact = Artifact(f"{name}-{version}-py3-none-any.whl", "", name, 1000)
        if not source:
            self.requires[name] = requires
        self.wheels.append(Wheel(name, version, artifact, source=Source("sdist") if source else None))
        return self

    def links(self, owner: str, *sonames: str) -> _Case:
        self.needs += [LibraryNeed(owner, f"{owner}/_c.so", soname) for soname in sonames]
        return self

    def names(self, owner: str, *sonames: str) -> _Case:
        self.named += [LibraryNeed(owner, f"{owner}/_c.so", soname) for soname in sonames]
        return self

    def ask(self, *, gpu: bool = True, cuda: str | None = None) -> dict[str, str]:
        return {each.requirement: each.because for each in self.found(gpu=gpu, cuda=cuda)}

    def found(self, *, gpu: bool = True, cuda: str | None = None) -> list[FoundRequirement]:
        asked: dict[str, frozenset[str]] = {}
        for need in (*self.needs, *self.named):
            asked[need.owner] = asked.get(need.owner, frozenset()) | {need.soname, *self.met}
        request = PythonLibraryRequest(
            Config(build=Build(gpu=gpu, cuda=cuda)),
            tuple(self.wheels),
            tuple(self.needs),
            tuple(self.named),
            asked,
            self.requires,
        )
        found = nvidia.find_python_libraries(request)
        assert found is not None
        return list(found)


@pytest.fixture
def case() -> _Case:
    return _Case()


def test_libraries_that_are_named_come_in_one_release(case: _Case) -> None:
    case.wheel("ctranslate2", "4.8").names(
        "ctranslate2", "libcublas.so.12", "libcurand.so.10", "libcuda.so.1"
    )
    assert case.ask() == {
        "cuda-toolkit[cublas,curand]==12.*": "ctranslate2 4.8: ctranslate2/_c.so names libcublas.so.12"
    }


def test_what_has_a_version_of_its_own_is_asked_for_by_that(case: _Case) -> None:
    case.wheel("a").links("a", "libcudnn.so.8", "libcudart.so.12").names("a", "libnccl.so.2")
    assert case.ask() == {
        "cuda-toolkit[cudart]==12.*": "a 1.0: a/_c.so needs libcudart.so.12",
        "nvidia-cudnn-cu12>=8,<9": "a 1.0: a/_c.so needs libcudnn.so.8",
        "nvidia-nccl-cu12>=2,<3": "a 1.0: a/_c.so names libnccl.so.2",
    }


@pytest.mark.parametrize(
    ("installed", "cuda", "sonames", "expected"),
    [
        pytest.param("", "12.4", ["libcublas.so.12"], "cuda-toolkit[cublas]==12.4.*", id="cog.yaml"),
        pytest.param("", "12.4.1", ["libcublas.so.12"], "cuda-toolkit[cublas]==12.4.*", id="a-patch-level"),
        pytest.param("", "12.4", ["libcublas.so.13"], "cuda-toolkit[cublas]==13.*", id="another-in-cog.yaml"),
        pytest.param("12.6.77", "12.4", ["libcufft.so.11"], "cuda-toolkit[cufft]==12.6.*", id="installed"),
        pytest.param("", "11.7", ["libcublas.so.11"], "cuda-toolkit[cublas]==11.8.*", id="11"),
        pytest.param("", "12.4", ["libcurand.so.10"], "cuda-toolkit[curand]==12.4.*", id="any-cog.yaml"),
        pytest.param("", None, ["libcurand.so.10"], "cuda-toolkit[curand]==13.*", id="any-newest"),
        pytest.param(
            "", "13.0", ["libcusparse.so.12", "libcusolver.so.11"], "cuda-toolkit[cusolver,cusparse]==12.*",
            id="most-of-them",
        ),
    ],
)  # fmt: skip
def test_the_release_is_the_one_that_fits(
    case: _Case, installed: str, cuda: str | None, sonames: list[str], expected: str
) -> None:
    if installed:
        case.wheel("nvidia-cuda-runtime-cu12", installed)
    case.wheel("a").names("a", *sonames)
    assert list(case.ask(cuda=cuda)) == [expected]


def test_what_is_linked_decides_about_what_is_named(case: _Case) -> None:
    case.wheel("ort").links("ort", "libcublas.so.13").names("ort", "libnvrtc.so.12", "libnvrtc.so.13")
    case.names("ort", "libcudart.so.12", "libcudart.so.13", "libcufft.so.11")
    assert list(case.ask(cuda="12.4")) == ["cuda-toolkit[cublas,cudart,nvrtc]==13.*"]


def test_a_file_for_each_cuda_asks_for_none_when_one_is_there(case: _Case) -> None:
    case.wheel("nvidia-cublas-cu12").wheel("nvidia-cuda-runtime-cu12").wheel("bitsandbytes")
    case.links("bitsandbytes", "libcublas.so.11", "libcublasLt.so.11", "libcudart.so.11.0", "libcublas.so.13")
    assert case.ask() == {}


def test_a_file_for_each_of_two_asks_for_none_when_one_is_there(case: _Case) -> None:
    case.met = ("libcublas.so.12",)
    case.wheel("nvidia-cublas-cu12").wheel("bitsandbytes").links("bitsandbytes", "libcublas.so.13")
    assert case.ask() == {}


@pytest.mark.parametrize(
    ("present", "soname", "expected"),
    [
        pytest.param("13.0.2", "libcublas.so.12", "nvidia-cublas-cu12", id="12-beside-13"),
        pytest.param("13.0.2", "libcufft.so.10", "nvidia-cufft-cu11", id="11-beside-13"),
        pytest.param("12.9.1", "libcufft.so.12", "nvidia-cufft>=12,<13", id="13-beside-12"),
        pytest.param("12.9.1", "libcublas.so.12", "cuda-toolkit[cublas]==12.9.*", id="of-the-same"),
    ],
)
def test_what_is_needed_beside_another_cuda_comes_by_name(
    case: _Case, present: str, soname: str, expected: str
) -> None:
    case.wheel("cuda-toolkit", present).wheel("nvidia-cublas", "13.0")
    assert list(case.wheel("a").links("a", soname).ask()) == [expected]


def test_a_second_cuda_comes_by_name(case: _Case) -> None:
    case.wheel("a").links("a", "libcublas.so.12").wheel("b").links("b", "libnvrtc.so.11.2")
    assert list(case.ask()) == ["cuda-toolkit[cublas]==12.*", "nvidia-cuda-nvrtc-cu11"]


@pytest.mark.parametrize(
    "soname",
    ["libcuda.so.1", "libnvidia-ml.so.1", "libcutensor.so.2", "libnvinfer.so.10", "libGL.so.1"],
    ids=["driver", "management", "optional", "tensorrt", "not-cuda"],
)
def test_other_libraries_are_left_to_others(case: _Case, soname: str) -> None:
    assert case.wheel("a").links("a", soname).names("a", soname).ask() == {}


def test_the_projects_own_files_count(case: _Case) -> None:
    assert case.links("", "libcudart.so.12").ask() == {
        "cuda-toolkit[cudart]==12.*": "The project: /_c.so needs libcudart.so.12"
    }


_ORT = (
    "numpy>=1.21",
    "sympy ; extra == 'symbolic'",
    "nvidia-cuda-runtime~=13.0 ; extra == 'cuda'",
    "nvidia-cufft~=12.0 ; extra == 'cuda'",
    "nvidia-cudnn-cu13~=9.0 ; extra == 'cudnn'",
    "not a requirement ; ;",
    "pywin32 ; sys_platform == 'win32' and extra == 'cuda'",
)


def test_a_wheels_own_extras_are_better_than_names(case: _Case) -> None:
    case.wheel("onnxruntime-gpu", "1.31", *_ORT).links("onnxruntime-gpu", "libcublas.so.13")
    assert case.ask() == {
        "onnxruntime-gpu[cuda,cudnn]": "onnxruntime-gpu 1.31: it loads CUDA's libraries, which its extras "
        "cuda and cudnn name"
    }


@pytest.mark.parametrize(
    "asked",
    [
        ["nvidia-modelopt[hf]>=0.33.1"],
        ["nvidia-ml-py"],
        ["nvidia-dali-cuda120"],
        ["nvidia-cublas-cu12", "nvidia-modelopt"],
    ],
    ids=["modelopt", "management", "dali", "one-of-two"],
)
def test_an_extra_that_brings_more_than_cuda_is_not_taken(case: _Case, asked: list[str]) -> None:
    case.wheel("diffusers", "0.35", *(f"{line} ; extra == 'nvidia'" for line in asked))
    assert case.ask() == {}


def test_extras_are_taken_without_a_trace_in_any_file(case: _Case) -> None:
    case.wheel("tensorflow", "2.19", "nvidia-cudnn-cu12==9.3 ; extra == 'and-cuda'")
    assert case.ask() == {
        "tensorflow[and-cuda]": "tensorflow 2.19: it loads CUDA's libraries, which its extra and-cuda names"
    }


def test_extras_are_not_asked_for_again_once_they_are_there(case: _Case) -> None:
    case.wheel("onnxruntime-gpu", "1.31", *_ORT)
    for part in ("nvidia-cuda-runtime", "nvidia-cufft", "nvidia-cudnn-cu13"):
        case.wheel(part, "13.0")
    assert case.ask() == {}


@pytest.mark.parametrize(
    ("cuda", "extra"), [("12.4", "cu12"), ("13.0", "cu13"), (None, "cu13")], ids=["12", "13", "none"]
)
def test_one_extra_of_several_for_each_cuda_is_taken(case: _Case, cuda: str | None, extra: str) -> None:
    case.wheel(
        "numba-cuda", "0.20", *(f"nvidia-cuda-nvcc-{one} ; extra == '{one}'" for one in ("cu11", "cu12"))
    )
    case.requires["numba-cuda"] += ("cuda-toolkit[nvvm]==13.* ; extra == 'cu13'",)
    assert next(iter(case.ask(cuda=cuda))) == f"numba-cuda[{extra}]"


_CUPY = ("cuda-toolkit[cublas,nvrtc]==12.* ; extra == 'ctk'", "scipy ; extra == 'all'")


@pytest.mark.parametrize(
    ("cuda", "expected"),
    [
        pytest.param("12.4", ["cupy[ctk]", "cuda-toolkit==12.4.*"], id="it-takes"),
        pytest.param("13.0", ["cupy[ctk]"], id="it-does-not-take"),
        pytest.param(None, ["cupy[ctk]"], id="none"),
    ],
)
def test_a_release_that_extras_leave_open_is_that_of_cog_yaml(
    case: _Case, cuda: str | None, expected: list[str]
) -> None:
    case.wheel("nvidia-nccl-cu12", "2.21.5")  # of no release
    case.wheel("cupy", "14.2", *_CUPY).names("cupy", "libcublas.so.12")
    assert list(case.ask(cuda=cuda)) == expected


def test_a_release_that_is_there_is_left_to_the_resolver(case: _Case) -> None:
    case.wheel("nvidia-cuda-runtime-cu12", "12.6.77").wheel("cupy", "14.2", *_CUPY)
    assert list(case.names("cupy", "libcublas.so.12").ask(cuda="12.4")) == ["cupy[ctk]"]


def test_parts_by_name_stand_in_for_an_extra_that_asks_for_another_release(case: _Case) -> None:
    case.wheel("nvidia-cublas-cu12", "12.9.3.13").wheel("cupy", "14.2", *_CUPY)
    case.links("cupy", "libcusolver.so.11", "libcutensor.so.2").names(
        "cupy", "libnvrtc.so.12", "libnccl.so.2"
    )
    (extra,) = case.found()
    assert extra.requirement == "cupy[ctk]"
    assert {one.requirement: one.because for one in extra.otherwise} == {
        "nvidia-cusolver-cu12": "cupy 14.2: cupy/_c.so needs libcusolver.so.11",
        "nvidia-cuda-nvrtc-cu12": "cupy 14.2: cupy/_c.so names libnvrtc.so.12",
        "nvidia-nccl-cu12>=2,<3": "cupy 14.2: cupy/_c.so names libnccl.so.2",
    }


def test_what_extras_leave_out_comes_by_its_name(case: _Case) -> None:
    case.wheel("cuda-toolkit", "12.4.1").wheel("nvidia-cublas-cu12").wheel(
        "nvidia-cuda-runtime-cu12", "12.4.1"
    )
    case.wheel("cupy", "14.2", *_CUPY).links("cupy", "libnccl.so.2", "libcutensor.so.2")
    assert case.ask() == {"nvidia-nccl-cu12>=2,<3": "cupy 14.2: cupy/_c.so needs libnccl.so.2"}


def test_parts_that_others_brought_are_enough(case: _Case) -> None:
    case.wheel("nvidia-cublas-cu12").wheel("nvidia-cuda-runtime-cu12", "12.4.127").wheel(
        "cupy", "14.2", *_CUPY
    )
    assert case.ask() == {}


@pytest.mark.parametrize("name", ["cuda-toolkit", "cuda-pathfinder", "nvidia-cublas"])
def test_extras_of_nvidias_own_packages_are_not_asked_for(case: _Case, name: str) -> None:
    assert case.wheel(name, "12.9", "nvidia-npp-cu12==12.* ; extra == 'npp'").ask() == {}


def test_without_a_gpu_only_links_count(case: _Case) -> None:
    case.wheel("onnxruntime-gpu", "1.31", *_ORT).wheel("a").links("a", "libcudart.so.12")
    assert list(case.ask(gpu=False)) == ["cuda-toolkit[cudart]==12.*"]


def test_what_is_built_from_source_is_not_opened(case: _Case) -> None:
    assert case.wheel("a", "1.0", *_ORT, source=True).ask() == {}


@pytest.mark.parametrize("family", families(), ids=lambda family: family.major)
def test_the_table_is_of_one_make(family: Any) -> None:
    for soname, asked in family.libraries.items():
        assert re.fullmatch(r"lib[A-Za-z_]+\.so\.\d+(\.\d+)?", soname)
        # Requirements name their CUDA; extras are of a release of it.
        assert re.fullmatch(rf"[a-z]+|nvidia-[a-z]+-cu{family.major}([<>=].*)?", asked), asked


@pytest.mark.parametrize("name", ["libraries.json", "carriers.json"])
def test_the_tables_say_where_they_are_from(name: str) -> None:
    assert json.loads(Path(nvidia.__file__).with_name(name).read_text())["sources"]


@pytest.mark.parametrize("family", families(), ids=lambda family: family.major)
def test_what_is_asked_for_is_known_to_be_a_part_of_cuda(family: Any) -> None:
    for soname in family.libraries:
        assert all(map(is_part, _packages(soname))), soname


@pytest.mark.parametrize("gpu", [True, False], ids=["gpu", "no-gpu"])
def test_a_driver_that_is_mounted_as_a_folder_is_found(gpu: bool) -> None:  # noqa: FBT001 - drawn
    added = nvidia.image_environment(Config(build=Build(gpu=gpu)))
    assert added == (
        {
            "PATH": "/usr/local/nvidia/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64:/usr/lib/x86_64-linux-gnu"
            ":/usr/local/nvidia/lib64:/usr/local/nvidia/bin",
        }
        if gpu
        else None
    )


@pytest.mark.parametrize(
    ("package", "version", "cuda", "parts"),
    [
        ("tensorflow", "2.5.0", "11", "cublas,cudart,cufft,curand,cusolver,cusparse"),
        ("tensorflow-gpu", "2.10.1", "11", "cublas,cudart,cufft,curand,cusolver,cusparse"),
        ("tensorflow", "2.13.1", "11", "cublas,cudart,cufft,curand,cusolver,cusparse"),
        ("tensorflow", "2.14.0", "11", "cublas,cudart,cufft,cusolver,cusparse"),
        ("tensorflow", "2.15.0", "12", "cublas,cudart,cufft,cusolver,cusparse"),
    ],
)
def test_a_tensorflow_without_an_extra_gets_the_cuda_that_it_opens(
    case: _Case, package: str, version: str, cuda: str, parts: str
) -> None:
    found = case.wheel(package, version).ask()
    release = "11.8" if cuda == "11" else "12"
    assert found.keys() == {f"cuda-toolkit[{parts}]=={release}.*", f"nvidia-cudnn-cu{cuda}>=8,<9"}
    assert all(because.startswith(f"{package} {version}: tensorflow/") for because in found.values())


def test_parts_that_the_project_has_are_not_asked_for_again(case: _Case) -> None:
    case.wheel("tensorflow", "2.12.0").wheel("nvidia-cudnn-cu11", "8.6.0.163").wheel(
        "nvidia-cublas-cu11", "11.10.3"
    )
    assert case.ask().keys() == {"cuda-toolkit[cudart,cufft,curand,cusolver,cusparse]==11.8.*"}


def test_parts_of_another_cuda_do_not_do(case: _Case) -> None:
    case.wheel("tensorflow", "2.12.0").wheel("nvidia-cudnn-cu12", "8.9.7.29")
    assert "nvidia-cudnn-cu11>=8,<9" in case.ask()


@pytest.mark.parametrize(("version", "gpu"), [("2.4.4", True), ("2.4.4", False), ("2.5.0", False)])
def test_an_older_tensorflow_gets_none_and_without_a_gpu_no_release_does(
    case: _Case, version: str, *, gpu: bool
) -> None:
    assert case.wheel("tensorflow", version).ask(gpu=gpu) == {}
