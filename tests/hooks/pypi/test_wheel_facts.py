"""Facts of real wheels: by the table, by parts and by the whole file they are the same, and so is a lock.

What a lock does with wheels it does with their facts, so that equal seals make equal locks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import Settings
from cog_nix.elf import table
from cog_nix.elf.facts import Depth
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.plugins.spec import Context
from cog_nix.report import SilentReporter
from cog_nix.resolve import duplicates
from cog_nix.resolve.needs import depths
from cog_nix.resolve.wheel_facts import WheelFacts, seals
from cog_nix_hooks.nvidia.parts import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Wheel

pytestmark = pytest.mark.network


def _locked(wheels: Sequence[Wheel], cache: Path, *, gpu: bool, whole: bool) -> tuple[object, object]:
    """Return what a lock goes by, and what it makes of files that are there twice."""
    reporter = SilentReporter()
    fetcher = CachingFetcher(cache, reporter, whole=whole)
    facts = WheelFacts(Context(Settings(), fetcher, reporter, cache))
    facts.learn(wheels, depths(wheels, PARTS, gpu=gpu))
    links = duplicates.find(wheels, facts, PARTS, [wheel.name for wheel in wheels])
    return seals(wheels, facts, PARTS, gpu=gpu), links


@pytest.mark.parametrize(
    ("lines", "gpu"),
    [
        pytest.param(("numpy==2.2.5", "pyyaml==6.0.2", "markupsafe==3.0.2"), False, id="parts"),
        pytest.param(("scikit-image==0.25.2", "lxml==5.3.0"), False, id="many-small-libraries"),
        pytest.param(("nvidia-cuda-nvrtc-cu12==12.4.127", "soundfile==0.13.1"), True, id="gpu"),
    ],
)
def test_parts_and_whole_files_make_the_same_lock(
    resolve: Callable[..., dict[str, Wheel]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: tuple[str, ...],
    gpu: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    wheels = list(resolve(*lines, python_version="3.13.5", glibc="2.41").values())
    monkeypatch.setattr(table, "FILE", tmp_path / "none.zip")
    by_parts = _locked(wheels, tmp_path / "parts", gpu=gpu, whole=False)
    assert by_parts == _locked(wheels, tmp_path / "whole", gpu=gpu, whole=True)

    def size(cache: str) -> int:
        return sum(path.stat().st_size for path in (tmp_path / cache / "downloads").rglob("*"))

    assert size("parts") < 0.8 * size("whole")


def test_the_table_has_torch_and_all_that_is_large_with_it(
    resolve: Callable[..., dict[str, Wheel]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 3.1 GB nothing is looked at; without the table, parts say the same."""
    found = resolve("torch==2.6.0", python_version="3.13.5", glibc="2.41", gpu=True)
    large = [wheel for wheel in found.values() if wheel.artifact.size > 10_000_000]
    assert sum(wheel.artifact.size for wheel in large) > 3_000_000_000
    wanted = depths(list(found.values()), PARTS, gpu=True)
    for wheel in large:
        known = table.known(wheel.name, wheel.artifact.sha256)
        assert known, wheel.artifact.filename
        assert known.at(wanted[wheel.name]), wheel.artifact.filename
    parts = [wheel for wheel in large if wanted[wheel.name] is not Depth.TEXT]
    by_table = _locked(parts, tmp_path / "table", gpu=False, whole=False)
    monkeypatch.setattr(table, "FILE", tmp_path / "none.zip")
    assert by_table == _locked(parts, tmp_path / "parts", gpu=False, whole=False)


@pytest.mark.parametrize(
    "line",
    ["nvidia-nvtx-cu12==12.4.127", "coglet==0.23.1", "nvidia-cuda-cupti-cu12==12.4.127"],
    ids=lambda value: str(value).partition("=")[0],
)
def test_the_table_says_what_the_wheels_say(
    resolve: Callable[..., dict[str, Wheel]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
) -> None:
    (wheel,) = resolve(line, python_version="3.13.5", glibc="2.41").values()
    known = table.known(wheel.name, wheel.artifact.sha256)
    depth = depths([wheel], PARTS, gpu=True)[wheel.name]
    assert known
    assert known.at(depth)
    by_table = _locked([wheel], tmp_path / "table", gpu=True, whole=True)
    assert not (tmp_path / "table/downloads/sha256").exists()
    monkeypatch.setattr(table, "FILE", tmp_path / "none.zip")
    assert by_table == _locked([wheel], tmp_path / "whole", gpu=True, whole=True)
