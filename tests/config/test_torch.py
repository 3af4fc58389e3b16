from __future__ import annotations

import pytest

from cog_nix.config import torch


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        pytest.param("2.0.1", "2.0.1", id="full"),
        pytest.param("2.2", "2.2.0", id="short"),
        pytest.param("2.1.0+cu118", "2.1.0", id="local"),
        pytest.param("99.0", None, id="newer"),
        pytest.param("nightly", None, id="no-version"),
    ],
)
def test_a_release_is_found_by_its_version(version: str, expected: str | None) -> None:
    found = torch.release(version)
    assert (found.version if found else None) == expected


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        pytest.param("torch", "2.6.0", "2.6.0", id="torch"),
        pytest.param("torchvision", "0.15.2+cu118", "2.0.1", id="torchvision"),
        pytest.param("torchvision", "0.29.1", "2.14.1", id="one-of-two"),
        pytest.param("torchaudio", "2.0.2", "2.0.1", id="torchaudio"),
        pytest.param("torchvision", "0.1", None, id="unknown"),
    ],
)
def test_companions_lead_to_their_release(name: str, version: str, expected: str | None) -> None:
    found = torch.release_of(name, version)
    assert (found.version if found else None) == expected


def test_the_releases_are_in_order_and_hold_together() -> None:
    order = [torch.numbers(one.version) for one in torch.releases()]
    assert order == sorted(order)
    for one in torch.releases():
        assert torch.numbers(one.pythons[0]) < torch.numbers(one.pythons[1])
        assert not one.cudas or one.default in one.cudas
        assert list(one.cudas) == sorted(one.cudas, key=torch.numbers)
        for cuda in (*one.cudas, one.default):
            assert torch.supported_architectures(one.version, cuda)
            assert torch.minimum_driver(cuda)


@pytest.mark.parametrize(
    ("version", "cuda", "first", "last"),
    [
        pytest.param("1.11.0", "", "sm_37", "sm_70", id="pypi-of-10.2"),
        pytest.param("1.12.1+cu113", "", "sm_37", "sm_86", id="local-version"),
        pytest.param("2.0.1", "11.8", "sm_37", "sm_90", id="named"),
        pytest.param("2.6.0", "", "sm_50", "sm_90", id="pypi-of-12.4"),
        pytest.param("2.8.0", "12.8.1", "sm_70", "sm_120", id="patch-release"),
        pytest.param("2.11.0", "12.8", "sm_75", "sm_120", id="another-list-for-this-release"),
        pytest.param("2.14.1", "", "sm_75", "compute_120", id="ptx"),
    ],
)
def test_architectures(version: str, cuda: str, first: str, last: str) -> None:
    found = torch.supported_architectures(version, cuda)
    assert (found[0], found[-1]) == (first, last)


@pytest.mark.parametrize("version", ["2.0.1+cpu", "99.0"])
def test_no_architectures_are_known(version: str) -> None:
    assert torch.supported_architectures(version) == ()


@pytest.mark.parametrize(
    ("version", "capability", "expected"),
    [
        pytest.param("2.6.0", "8.9", True, id="ada-runs-code-for-ampere"),
        pytest.param("2.6.0", "6.1", True, id="pascal"),
        pytest.param("2.6.0", "12.0", False, id="blackwell-is-newer"),
        pytest.param("2.6.0", "3.7", False, id="kepler-is-older"),
        pytest.param("1.11.0", "8.0", False, id="ampere-and-cuda-10"),
        pytest.param("2.8.0", "12.0", True, id="blackwell"),
        pytest.param("2.8.0", "12.1", True, id="a-later-minor"),
        pytest.param("2.8.0", "13.0", False, id="next-major-without-ptx"),
        pytest.param("2.14.1", "13.0", True, id="next-major-with-ptx"),
        pytest.param("2.14.1", "7.0", False, id="volta-is-gone"),
    ],
)
def test_which_gpu_a_build_runs_on(version: str, capability: str, expected: bool) -> None:  # noqa: FBT001
    assert torch.runs_on(torch.supported_architectures(version), capability) is expected


@pytest.mark.parametrize(
    ("cuda", "expected"),
    [
        pytest.param("11.8", "450.80.02", id="11"),
        pytest.param("12.1.1", "525.60.13", id="12"),
        pytest.param("13.0", "580.65.06", id="13"),
        pytest.param("99.0", "", id="unknown"),
    ],
)
def test_the_oldest_driver(cuda: str, expected: str) -> None:
    assert torch.minimum_driver(cuda) == expected


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        pytest.param("cu118", "11.8", id="cuda"),
        pytest.param("cu92", "9.2", id="old"),
        pytest.param("cpu", "", id="cpu"),
        pytest.param("rocm6.2", "", id="rocm"),
    ],
)
def test_the_cuda_release_of_a_local_version(local: str, expected: str) -> None:
    assert torch.cuda_of(local) == expected
