"""What is added to a model's packages leaves them as they are, tried on requirements of public models."""

from __future__ import annotations

import os
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from . import beside, corpus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .beside import Tried
    from .corpus import Project, Recorded

pytestmark = pytest.mark.slow  # runs uv for each test, some for hundreds of projects

_EVERY = int(os.environ.get("COG_NIX_TEST_EVERY", "4"))
"""One in so many projects is tried; 1: all of them, which takes minutes on two cores."""
_EVERY_HOSTILE = 1 if _EVERY == 1 else 8 * _EVERY
_AT_ONCE = 2


@pytest.fixture(scope="module")
def recorded() -> tuple[list[Project], Recorded]:
    return corpus.load()


@pytest.fixture
def url(plain_machine: pytest.MonkeyPatch, recorded: tuple[list[Project], Recorded]) -> Iterator[str]:
    del plain_machine
    # Its first call is not safe in threads (CPython 3.11), and uv's module makes it.
    sysconfig.get_config_vars()
    with corpus.serve(recorded[1]) as address:
        yield address


def _moved(tried: Tried) -> list[str]:
    """Return what is not as it was."""
    found = {wheel.name: wheel for wheel in tried.extended.wheels}
    return [
        f"{wheel.name} {wheel.version} is {found[wheel.name].version if wheel.name in found else 'gone'}"
        for wheel in tried.own.wheels
        if wheel.name not in found or replace(found[wheel.name], depends=wheel.depends) != wheel
    ]


@pytest.mark.parametrize("hostile", [False, True], ids=["real", "hostile"])
def test_what_public_models_ask_for_never_moves(
    url: str, recorded: tuple[list[Project], Recorded], tmp_path: Path, *, hostile: bool
) -> None:
    projects, index = recorded
    tried = partial(beside.attempt, index=index, url=url, root=tmp_path, hostile=hostile)
    with ThreadPoolExecutor(_AT_ONCE) as crew:
        found = list(crew.map(tried, projects[:: _EVERY_HOSTILE if hostile else _EVERY]))
    assert [moved for one in found if (moved := _moved(one))] == []
    added = [len(one.extended.wheels) - len(one.own.wheels) for one in found]
    assert min(added) >= 0
    assert any(added)
    assert all(one.warnings for one in found) or not hostile


def test_there_are_two_hundred_of_them(recorded: tuple[list[Project], Recorded]) -> None:
    projects, _ = recorded
    assert len(set(projects)) == len(projects) >= 200
    assert sum(project.gpu for project in projects) > 150


def test_torch_would_move_if_it_might(url: str, tmp_path: Path) -> None:
    timm = corpus.Project("3.11", True, ("timm==1.0.15",))
    request = beside.question(timm, url, tmp_path)
    own = beside.resolve(request)
    free = beside.resolve(
        replace(
            request,
            requirements=(*request.requirements, "cuda-toolkit[cupti]==12.*"),
            pins={wheel.name: wheel.version for wheel in own.wheels},
        )
    )
    assert _moved(beside.Tried(own, free))


def test_a_plain_timm_has_the_newest_torch(
    url: str, recorded: tuple[list[Project], Recorded], tmp_path: Path
) -> None:
    timm = corpus.Project("3.11", True, ("timm==1.0.15",))
    tried = beside.attempt(timm, recorded[1], url, tmp_path)
    torch = next(wheel for wheel in tried.extended.wheels if wheel.name == "torch")
    there = {Version(one.filename.split("-")[1]) for one in recorded[1].pages["torch"]}
    assert Version(torch.version) == max(there)
    assert _moved(tried) == []


def test_diffusers_brings_no_modelopt(
    url: str, recorded: tuple[list[Project], Recorded], tmp_path: Path
) -> None:
    diffusers = corpus.Project("3.11", True, ("diffusers==0.35.1",))
    tried = beside.attempt(diffusers, recorded[1], url, tmp_path)
    assert tried.offered == []
    assert tried.extended == tried.own
