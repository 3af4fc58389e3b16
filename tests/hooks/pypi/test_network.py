"""Through the index that this machine is configured for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.config import torch
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.lock.model import Wheel

pytestmark = pytest.mark.network


@pytest.mark.parametrize(
    ("python_version", "glibc", "abi"),
    [
        pytest.param("3.13.5", "2.41", "cp313-cp313", id="debian-13"),
        pytest.param("3.11.2", "2.36", "cp311-cp311", id="debian-12"),
    ],
)
def test_a_model_s_packages(
    resolve: Callable[..., dict[str, Wheel]], tmp_path: Path, python_version: str, glibc: str, abi: str
) -> None:
    lines = ("numpy<3", "cog==0.23.1", "coglet==0.23.1", "pip")
    found = resolve(*lines, python_version=python_version, glibc=glibc)
    assert found["cog"].version == found["coglet"].version == "0.23.1"
    assert f"-{abi}-manylinux" in found["numpy"].artifact.filename
    assert "abi3" in found["coglet"].artifact.filename
    assert "coglet" in found["cog"].depends
    assert all(set(wheel.depends) <= set(found) for wheel in found.values())
    assert all("@" not in wheel.artifact.url for wheel in found.values())
    small = [wheel.artifact for wheel in found.values() if wheel.artifact.size < 1_000_000]
    paths = CachingFetcher(tmp_path / "cache", SilentReporter()).artifacts(small)
    assert {sha256: path.stat().st_size for sha256, path in paths.items()} == {
        artifact.sha256: artifact.size for artifact in small
    }
    pins = {name: wheel.version for name, wheel in found.items()}
    assert resolve(*lines, python_version=python_version, glibc=glibc, pins=pins) == found


def test_pypi_s_builds_of_pytorch_are_what_the_table_says(resolve: Callable[..., dict[str, Wheel]]) -> None:
    """The first of NVIDIA's wheels tells the CUDA release, and the metadata what goes together."""
    for release, python in (("2.1.2", "3.11.2"), ("2.6.0", "3.13.5")):
        known = torch.release(release)
        assert known
        lines = (f"torch=={release}", "torchvision", "torchaudio")
        found = resolve(*lines, python_version=python, gpu=True, cuda=known.default)
        versions = {name: found[name].version for name in ("torch", "torchvision", "torchaudio")}
        assert versions == {
            "torch": release,
            "torchvision": known.torchvision[-1],
            "torchaudio": known.torchaudio[-1],
        }
        assert found["nvidia-cuda-runtime-cu12"].version.startswith(f"{known.default}.")
