from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.config import torch as facts
from cog_nix.errors import LockError
from cog_nix.plugins.spec import PythonRequest
from cog_nix_hooks.pypi import torch
from cog_nix_hooks.pypi.lines import parse
from cog_nix_hooks.pypi.target import Target

from .torch_index import RECORDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.lock.model import Wheel

    from .conftest import Index
    from .torch_index import PyTorch

    Resolve = Callable[..., dict[str, Wheel]]

ROWS = [
    tuple(line.split("\t"))
    for line in Path(__file__).with_name("torch-table.tsv").read_text("utf-8").splitlines()[1:]
]
RELEASES = list(dict.fromkeys(row[0] for row in ROWS))
PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")


def asking(asked: str) -> dict[str, object]:
    """What cog.yaml says, from the table's second column."""
    if asked == "cpu":
        return {"gpu": False}
    return {"gpu": True, "cuda": None if asked == "-" else asked}


def choice(*lines: str, python: str = "3.10", **request: object) -> torch.Choice:
    question = PythonRequest(f"{python}.1", lines, **request)  # type: ignore[arg-type]
    return torch.choose(parse(lines, "cog.yaml"), question, Target(f"{python}.1", "2.41"))


def versions(found: dict[str, Wheel]) -> dict[str, str]:
    return {name: wheel.version for name, wheel in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES)
def test_the_table_of_builds(release: str, pytorch: PyTorch, resolve: Resolve) -> None:
    known = facts.release(release)
    assert known
    python = f"{known.pythons[1]}.1"
    seen: dict[str, dict[str, str]] = {}
    for _, asked, *expected in (row for row in ROWS if row[0] == release):
        wanted = {
            name: version for name, version in zip(torch.FAMILY, expected, strict=True) if version != "-"
        }
        lines = (f"torch=={release}", *sorted(wanted.keys() - {"torch"}))
        backend = choice(*lines, python=known.pythons[1], **asking(asked)).backend
        name = backend.name if backend else "pypi"
        if name not in seen:
            seen[name] = versions(resolve(*lines, python_version=python, **asking(asked)))
        assert seen[name] == wanted, asked
    indexes = {page.partition("/")[0] for page in pytorch.asked}
    assert indexes == seen.keys() - {"pypi"}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("release", RELEASES)
def test_the_table_of_pythons(release: str, python: str) -> None:
    offered = RECORDED["pypi"]["torch"][release].split()
    if python.replace(".", "") in offered:
        assert choice(f"torch=={release}", python=python, gpu=True) == torch.Choice()
        return
    with pytest.raises(LockError, match=rf"torch {release} has no wheels for Python {python}:") as caught:
        choice(f"torch=={release}", python=python, gpu=True)
    assert f'"{offered[-1][0]}.{offered[-1][1:]}"' in (caught.value.hint or "")
    assert f"wheels for Python {python}" in (caught.value.hint or "")


@pytest.mark.parametrize("backend", [name for name in RECORDED if name != "pypi"])
@pytest.mark.parametrize("release", RELEASES)
def test_the_table_of_pins(release: str, backend: str) -> None:
    pin = f"torch=={release}+{backend}"
    python = facts.release(release).pythons[1]  # type: ignore[union-attr]
    if f"{release}+{backend}" in RECORDED[backend]["torch"]:
        chosen = choice(pin, python=python, gpu=backend != "cpu").backend
        assert chosen
        assert (chosen.name, chosen.pinned, chosen.why) == (backend, True, pin)
        return
    with pytest.raises(LockError, match="does not exist") as caught:
        choice(pin, python=python, gpu=True)
    there = [f"+{other}" for other in RECORDED if f"{release}+{other}" in RECORDED[other]["torch"]]
    assert any(f"Write {local} instead of +{backend}" in (caught.value.hint or "") for local in there)
    for other in RELEASES:
        if f"{other}+{backend}" in RECORDED[backend]["torch"]:
            assert other in (caught.value.hint or "")
            break


def test_the_table_is_complete() -> None:
    known = [release.version for release in facts.releases() if release.cudas]
    assert known == RELEASES
    for release in facts.releases():
        assert RECORDED["pypi"]["torch"][release.version].split()[0] == release.pythons[0].replace(".", "")


@pytest.mark.parametrize(
    ("lines", "request_", "message", "hint"),
    [
        pytest.param(
            ("torch==2.0.1", "torchvision==0.16.0"),
            {"gpu": True},
            "torchvision 0.16.0 is made for torch 2.1.0, and torch 2.0.1 is asked for",
            "Beside torch 2.0.1: torchvision==0.15.2.",
            id="another-torchvision",
        ),
        pytest.param(
            ("torch==2.0.1", "torchaudio==2.1.2"),
            {"gpu": False},
            "torchaudio 2.1.2 is made for torch 2.1.2",
            "torchaudio==2.0.2.",
            id="another-torchaudio",
        ),
        pytest.param(
            ("torch==2.0.1+cu118", "torchvision==0.15.2+cu117"),
            {"gpu": True},
            "torch==2.0.1+cu118 and torchvision==0.15.2+cu117 are built for different CUDA releases",
            "Write the same local version after both: +cu118.",
            id="two-local-versions",
        ),
        pytest.param(
            ("torchvision==0.15.2+cu121",),
            {"gpu": True},
            "torchvision 0.15.2+cu121 does not exist: torch 2.0.1 has builds for CUDA 11.7 and 11.8",
            "CUDA 12.1 goes with torch 2.1.0 to 2.5.1.",
            id="no-such-build",
        ),
        pytest.param(
            ("torchvision==0.12.0",),
            {"gpu": True, "python": "3.12"},
            "torchvision 0.12.0 has no wheels for Python 3.12: there are some for 3.7 to 3.10",
            'Set python_version to "3.10", or take torchvision 0.17.0 to 0.29.2',
            id="a-companion-s-python",
        ),
        pytest.param(
            ("torch==2.0.1",),
            {"gpu": True, "python": "3.6"},
            "torch 2.0.1 has no wheels for Python 3.6",
            "PyTorch has no wheels for Python 3.6 that are known here",
            id="a-python-without-any",
        ),
    ],
)
def test_contradictions_name_what_works(
    lines: tuple[str, ...], request_: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(LockError) as caught:
        choice(*lines, **request_)  # type: ignore[arg-type]
    assert caught.value.message.startswith("cog.yaml: ")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("lines", "request_", "place"),
    [
        pytest.param(("torch==2.0.1",), {"python": "3.13"}, "ai.txt:4: torch 2.0.1", id="python"),
        pytest.param(
            ("torch==2.0.1", "torchvision==0.16.0"), {}, "ai.txt:7: torchvision 0.16.0", id="a-companion"
        ),
        pytest.param(
            ("torch==2.0.1+cu118", "torchvision==0.15.2+cu117"), {}, "ai.txt:4: torch==", id="local-versions"
        ),
        pytest.param(("torch==2.0.1+cu121",), {}, "ai.txt:4: torch 2.0.1+cu121", id="no-such-build"),
        pytest.param(("torchaudio==2.0.2+cu121",), {}, "ai.txt: torchaudio", id="a-line-that-is-not-known"),
    ],
)
def test_contradictions_name_the_line(lines: tuple[str, ...], request_: dict[str, str], place: str) -> None:
    places = {"torch": "ai.txt:4", "torchvision": "ai.txt:7"}
    with pytest.raises(LockError) as caught:
        choice(*lines, gpu=True, asked_in="ai.txt", places=places, **request_)
    assert caught.value.message.startswith(place)


@pytest.mark.parametrize(
    ("lines", "request_", "expected"),
    [
        pytest.param(
            ("torch==1.11.0+cu113",),
            {"gpu": True, "cuda": "11.0"},
            'CUDA 11.3, and cog.yaml says cuda: "11.0" (torch 1.11.0 has builds for CUDA 10.2 and 11.3)',
            id="cuda-beside-a-pin",
        ),
        pytest.param(
            ("torch==2.0.1",),
            {"gpu": True, "cuda": "11.3"},
            "PyPI's with CUDA 11.7 is taken. It goes with CUDA 11.7 and 11.8, and CUDA 11.3 with torch 1.11",
            id="no-build-as-old",
        ),
        pytest.param(
            ("torch==2.0.1+cu118",), {"gpu": False}, "torch==2.0.1+cpu does not", id="cuda-without-gpu"
        ),
        pytest.param(("torch==2.0.1+cpu",), {"gpu": True}, "leave +cpu out", id="cpu-with-gpu"),
    ],
)
def test_what_upstream_accepts_is_a_warning(
    lines: tuple[str, ...], request_: dict[str, object], expected: str
) -> None:
    (warning,) = choice(*lines, **request_, places={"torch": "ai.txt:4"}).warnings  # type: ignore[arg-type]
    assert warning.startswith("ai.txt:4: torch")
    assert expected in warning


@pytest.mark.parametrize(
    ("lines", "request_", "expected"),
    [
        pytest.param(("numpy",), {"gpu": False}, None, id="no-torch"),
        pytest.param(("torch",), {"gpu": True}, None, id="no-cuda"),
        pytest.param(("torch",), {}, None, id="no-image"),
        pytest.param(("torch",), {"gpu": False}, "cpu", id="any-version"),
        pytest.param(("torch==2.5.1", "torchaudio==2.11.0"), {"gpu": True}, None, id="an-open-companion"),
        pytest.param(("torch>=2",), {"gpu": True, "cuda": "12.5"}, "cu124", id="a-range"),
        pytest.param(("torch>=2",), {"gpu": True, "cuda": "10.1"}, None, id="a-range-and-no-build"),
        pytest.param(("Torch == 2.2",), {"gpu": True, "cuda": "11.8"}, "cu118", id="a-short-pin"),
        pytest.param(("torch==2.0.1; sys_platform == 'linux'",), {"gpu": False}, "cpu", id="a-marker"),
        pytest.param(("torch; sys_platform == 'win32'",), {"gpu": False}, None, id="another-platform"),
        pytest.param(("torch==99.0",), {"gpu": True, "cuda": "12.8"}, "cu128", id="newer-than-the-table"),
        pytest.param(("torch==2.15.0",), {"gpu": True, "cuda": "13.2"}, None, id="builds-unknown-default"),
        pytest.param(
            ("torchvision==0.15.2",), {"gpu": True, "cuda": "12.4"}, "cu118", id="torchvision-alone"
        ),
        pytest.param(("torch==2.0.1+local",), {"gpu": True}, None, id="somebody-s-own-build"),
        pytest.param(
            ("torch @ https://example.org/torch-2.0.1-py3-none-any.whl",), {"gpu": False}, None, id="a-url"
        ),
        *(
            pytest.param((option, "torch==2.0.1+cu118"), {"gpu": False}, None, id=option.split()[0])
            for option in (
                "--extra-index-url https://example.org/",
                "--index-url https://example.org/",
                "--find-links https://example.org/",
                "--no-index",
            )
        ),
    ],
)
def test_which_index_is_asked(
    lines: tuple[str, ...], request_: dict[str, object], expected: str | None
) -> None:
    python = "3.13" if "2.15.0" in lines[0] else "3.10"
    backend = choice(*lines, python=python, **request_).backend
    assert (backend.name if backend else None) == expected


def test_a_wheel_is_locked_where_the_index_has_it(pytorch: PyTorch, resolve: Resolve) -> None:
    found = resolve("torch==2.0.1+cu118", "torchvision", python_version="3.10.4", gpu=True)
    assert versions(found) == {"torch": "2.0.1+cu118", "torchvision": "0.15.2+cu118"}
    artifact = found["torch"].artifact
    assert artifact.filename == "torch-2.0.1+cu118-cp310-cp310-linux_x86_64.whl"
    assert "/cu118/" in artifact.url
    assert artifact.size == len(pytorch.wheel("torch", "2.0.1+cu118"))
    assert found["torchvision"].depends == ("torch",)


def test_what_requires_torch_gets_the_build_for_the_cpu(
    pytorch: PyTorch, index: Index, resolve: Resolve
) -> None:
    index.add("app", "1.0", ["torch==2.6.0"])
    assert versions(resolve("app", gpu=False)) == {"app": "1.0", "torch": "2.6.0+cpu"}
    assert versions(resolve("app", gpu=True)) == {"app": "1.0", "torch": "2.6.0"}
    assert {page.partition("/")[0] for page in pytorch.asked} == {"cpu"}


def test_a_project_without_torch_asks_no_index(pytorch: PyTorch, index: Index, resolve: Resolve) -> None:
    index.add("app", "1.0")
    assert versions(resolve("app", gpu=False)) == {"app": "1.0"}
    assert pytorch.asked == []


def test_a_pin_stays_from_one_build_to_another(pytorch: PyTorch, resolve: Resolve) -> None:  # noqa: ARG001
    pins = {"torch": "2.5.1"}
    cpu = versions(resolve("torch>=2", gpu=False, pins=pins))
    assert cpu == {"torch": "2.5.1+cpu"}
    assert versions(resolve("torch>=2", gpu=True, pins=cpu)) == pins
    assert versions(resolve("torch>=2", gpu=True, cuda="11.8", pins=cpu)) == {"torch": "2.5.1+cu118"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(("speech", "torch==2.5.1"), "2.5.1", id="pinned"),
        pytest.param(("speech", "torch<2.6"), "2.5.1", id="a-range"),
        pytest.param(("speech", "torch==2.5.1", "torchaudio==2.11.0"), "2.11.0", id="asked-for"),
        pytest.param(("speech", "torch==2.13.0"), "2.11.0", id="none-of-its-own"),
    ],
)
@pytest.mark.usefixtures("pytorch")
def test_a_companion_that_another_package_requires_goes_with_the_torch(
    index: Index, resolve: Resolve, lines: tuple[str, ...], expected: str
) -> None:
    index.add("speech", "1.0", ["torchaudio", "torch"])
    assert versions(resolve(*lines, gpu=True))["torchaudio"] == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(("torch==2.5.1", "torchaudio"), {"torch": "2.5.1", "torchaudio": "2.5.1"}, id="plain"),
        pytest.param(
            ("torch==2.5.1", "torchaudio>=2.11"), {"torch": "2.5.1", "torchaudio": "2.11.0"}, id="a-range"
        ),
        pytest.param(
            ("torch==2.13.0", "torchaudio"), {"torch": "2.13.0", "torchaudio": "2.11.0"}, id="none-of-its-own"
        ),
        pytest.param(
            ("torchaudio==2.11.0", "torch<2.6"), {"torch": "2.5.1", "torchaudio": "2.11.0"}, id="open"
        ),
    ],
)
@pytest.mark.usefixtures("pytorch")
def test_what_goes_with_a_pinned_torch_is_taken(
    resolve: Resolve, lines: tuple[str, ...], expected: dict[str, str]
) -> None:
    assert versions(resolve(*lines, gpu=True)) == expected


def test_a_pin_of_the_project_s_own_index_stays_as_it_is(index: Index, resolve: Resolve) -> None:
    for version in ("2.0.1+cu118", "2.1.0+cu118"):
        index.add("torch", version)
    pins = {"torch": "2.0.1+cu118"}
    assert versions(resolve(index.line, "torch>=2", gpu=True, pins=pins)) == pins


@pytest.mark.parametrize(
    ("lines", "advice"),
    [
        pytest.param(
            ("torch==2.5.1", "torchvision==0.15.9"),
            " Beside torch 2.5.1: torchvision==0.20.1.",
            id="no-release",
        ),
        pytest.param(("torch>=2", "torchvision==0.15.9"), "", id="no-pin"),
        pytest.param(
            ("torch==2.5.1", "torchvision==0.20.1", "torchvision<0.20"), "", id="it-is-pinned-already"
        ),
        pytest.param(("torch==2.5.1", "nothing==1"), "", id="another-package"),
    ],
)
@pytest.mark.usefixtures("pytorch")
def test_a_companion_that_does_not_exist_comes_with_one_that_does(
    resolve: Resolve, lines: tuple[str, ...], advice: str
) -> None:
    with pytest.raises(LockError, match="cannot be satisfied") as caught:
        resolve(*lines, gpu=True)
    assert (caught.value.hint or "").endswith(advice)
    assert ("Beside torch" in (caught.value.hint or "")) == bool(advice)
