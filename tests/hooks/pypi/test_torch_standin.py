"""PyTorch's index does not answer, or has nothing that fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import PythonSettings, Settings
from cog_nix.errors import LockError
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.plugins.spec import Context, PythonRequest, PythonResolution
from cog_nix.report import SilentReporter
from cog_nix_hooks import pypi

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Index
    from .torch_index import PyTorch

    Ask = Callable[..., PythonResolution]

pytestmark = pytest.mark.slow  # runs uv for each test


@dataclass
class Listener(SilentReporter):
    said: list[str] = field(default_factory=list)

    def warn(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def ask(tmp_path: Path, project: Path, listener: Listener) -> Ask:
    """Ask through the hook, for Python 3.10."""

    def call(*lines: str, settings: Settings | None = None, **request: object) -> PythonResolution:
        context = Context(
            settings or Settings(), CachingFetcher(tmp_path / "cache", listener), listener, tmp_path / "cache"
        )
        question = PythonRequest("3.10.4", lines, "2.41", project, **request)  # type: ignore[arg-type]
        return pypi.resolve_python_packages(question, context)

    return call


def versions(found: PythonResolution) -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in found.wheels}


@pytest.mark.parametrize(
    ("request_", "backend", "expected"),
    [
        pytest.param(
            {"gpu": False},
            "cpu",
            "gpu: false asks for PyTorch built for the CPU, and PyTorch's index cpu does not serve it",
            id="cpu",
        ),
        pytest.param(
            {"gpu": True, "cuda": "11.8"},
            "cu118",
            'cuda: "11.8" asks for PyTorch built for CUDA 11.8, and PyTorch\'s index cu118 does not serve it',
            id="cuda",
        ),
    ],
)
def test_pypi_s_build_stands_in_and_that_is_remembered(
    pytorch: PyTorch,
    ask: Ask,
    listener: Listener,
    *,
    request_: dict[str, object],
    backend: str,
    expected: str,
) -> None:
    pytorch.refuses = True
    lines = ("torch==2.6.0", "torchvision")
    found = ask(*lines, **request_)
    assert versions(found) == {"torch": "2.6.0", "torchvision": "0.21.0"}
    (warning,) = listener.said
    assert warning.startswith(expected)
    assert "Taken instead: PyPI's torch 2.6.0 with CUDA 12.4;" in warning
    assert warning.endswith("cog-nix lock --upgrade torch")

    listener.said.clear()
    pytorch.refuses = False
    again = ask(*lines, **request_, reasons=found.reasons, pins=versions(found))
    assert (again, listener.said, pytorch.asked) == (found, [], [])

    upgraded = ask(*lines, **request_, pins=versions(found))
    assert versions(upgraded) == {"torch": f"2.6.0+{backend}", "torchvision": f"0.21.0+{backend}"}
    assert upgraded.reasons == {}
    assert listener.said == []


def test_what_was_remembered_of_one_index_says_nothing_of_another(
    pytorch: PyTorch, ask: Ask, listener: Listener
) -> None:
    pytorch.refuses = True
    reasons = ask("torch==2.6.0", gpu=True, cuda="11.8").reasons
    pytorch.refuses = False
    assert versions(ask("torch==2.6.0", gpu=False, reasons=reasons)) == {"torch": "2.6.0+cpu"}
    assert len(listener.said) == 1


def test_torch_that_is_required_may_be_stood_in_for(
    pytorch: PyTorch, index: Index, ask: Ask, listener: Listener
) -> None:
    index.add("app", "1.0", ["torch==2.6.0"])
    pytorch.refuses = True
    found = ask("app", gpu=False)
    assert versions(found) == {"app": "1.0", "torch": "2.6.0"}
    assert len(listener.said) == 1


_SILENT = "--extra-index-url http://127.0.0.1:9/whl/cu118"


def test_an_index_that_a_line_names_is_stood_in_for_as_well(
    pytorch: PyTorch, ask: Ask, listener: Listener
) -> None:
    lines = (_SILENT, "torch==2.6.0", "torchvision")
    found = ask(*lines, gpu=True, cuda="11.8")
    assert versions(found) == {"torch": "2.6.0", "torchvision": "0.21.0"}
    (warning,) = listener.said
    assert warning.startswith(
        "--extra-index-url …/whl/cu118 asks for PyTorch built for CUDA 11.8, and PyTorch's index cu118 does"
        " not serve it: "
    )
    listener.said.clear()
    again = ask(*lines, gpu=True, cuda="11.8", reasons=found.reasons, pins=versions(found))
    assert (again, listener.said, pytorch.asked) == (found, [], [])


@pytest.mark.usefixtures("pytorch")
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((_SILENT, "torch==2.6.0+cu118"), id="pinned"),
        pytest.param((_SILENT, "--extra-index-url http://127.0.0.1:9/own", "torch"), id="and-another"),
        pytest.param(("--index-url http://127.0.0.1:9/whl/cu118", "torch"), id="alone"),
        pytest.param(("--extra-index-url http://127.0.0.1:9/own", "torch"), id="another"),
    ],
)
def test_what_such_an_index_alone_may_have_is_not_stood_in_for(ask: Ask, lines: tuple[str, ...]) -> None:
    with pytest.raises(LockError, match=r"127\.0\.0\.1:9 cannot be reached") as caught:
        ask(*lines, gpu=True, asked_in="requirements.txt")
    option = next(line for line in lines if line.startswith("--")).partition(" ")[0]
    assert f"{option} in requirements.txt names it" in caught.value.hint


@pytest.mark.usefixtures("pytorch")
def test_an_index_that_a_line_names_and_that_answers_counts(
    index: Index, ask: Ask, listener: Listener
) -> None:
    found = ask(f"--extra-index-url {index.url}/whl/cu118", "torch==2.6.0", gpu=True)
    assert (versions(found), found.reasons, listener.said) == ({"torch": "2.6.0"}, {}, [])
    assert any("/whl/cu118/torch/" in asked for asked in index.asked)


def test_a_pin_that_names_the_index_has_no_stand_in(pytorch: PyTorch, ask: Ask) -> None:
    pytorch.refuses = True
    with pytest.raises(LockError) as caught:
        ask("torch==2.0.1+cu118", gpu=True, places={"torch": "cog.yaml:5"})
    assert caught.value.message.startswith(
        "cog.yaml:5: torch==2.0.1+cu118 is in PyTorch's index cu118 alone, and that does not answer:"
    )
    assert "Without +cu118 PyPI's build is taken, which has CUDA 11.7." in (caught.value.hint or "")


def test_an_index_that_has_not_everything_is_left_out(
    pytorch: PyTorch, index: Index, ask: Ask, listener: Listener
) -> None:
    """uv looks for xformers in PyTorch's index alone, and the one for the CPU has none."""
    index.add("xformers", "1.0", ["torch==2.6.0"])
    found = ask("torch==2.6.0", "xformers", gpu=False)
    assert versions(found) == {"torch": "2.6.0", "xformers": "1.0"}
    assert "xformers was not found" in listener.said[0]
    assert "cpu/torch" in pytorch.asked


def test_an_index_that_lacks_a_pinned_build_is_an_error(pytorch: PyTorch, ask: Ask) -> None:
    pytorch.pages = {"cu118": {"torch": {"2.0.0+cu118": "310"}}}
    with pytest.raises(LockError, match=r"no version of torch==2\.0\.1\+cu118"):
        ask("torch==2.0.1+cu118", gpu=True)


def test_without_either_build_the_error_is_pypi_s(pytorch: PyTorch, ask: Ask, listener: Listener) -> None:
    pytorch.refuses = True
    with pytest.raises(LockError, match=r"torch==99\.0"):
        ask("torch==99.0", gpu=False)
    assert listener.said == []


def test_without_dates_in_the_index_a_date_leaves_pypi_s_build(
    pytorch: PyTorch, ask: Ask, listener: Listener
) -> None:
    found = ask(
        "torch==2.6.0", gpu=False, settings=Settings(python=PythonSettings(exclude_newer="2026-01-01"))
    )
    assert versions(found) == {"torch": "2.6.0"}
    assert len(listener.said) == 1
    assert pytorch.asked


@pytest.mark.usefixtures("pytorch")
@pytest.mark.parametrize(
    ("version", "gpu", "told"),
    [
        pytest.param("2.4.4", True, True, id="too-old"),
        pytest.param("2.4.4", False, False, id="no-gpu"),
        pytest.param("2.5.0", True, False, id="first"),
    ],
)
def test_a_tensorflow_whose_cuda_no_package_has_is_told_of(
    index: Index, ask: Ask, listener: Listener, *, version: str, gpu: bool, told: bool
) -> None:
    index.add("tensorflow", version)
    assert versions(ask(f"tensorflow=={version}", gpu=gpu)) == {"tensorflow": version}
    assert len(listener.said) == int(told)
    assert all(said.startswith("tensorflow 2.4.4: ") for said in listener.said)
