"""Which build a python_version means, on uv's own list."""

from __future__ import annotations

import os
import re

import pytest

from cog_nix_hooks.standalone import uv
from cog_nix_hooks.standalone.choice import Build, choose, fits, nearest


@pytest.fixture(scope="module")
def listed() -> list[Build]:
    """Return what uv knows; it asks nobody."""
    return uv.builds(uv.environment(os.environ, None))


@pytest.mark.parametrize("minor", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_a_minor_version_is_its_newest_release(listed: list[Build], minor: str) -> None:
    build = choose(listed, minor)
    assert build is not None
    patch = int(build.version.removeprefix(f"{minor}."))
    others = [one.version for one in listed if re.fullmatch(rf"{re.escape(minor)}\.\d+", one.version)]
    assert patch == max(int(version.rpartition(".")[2]) for version in others)
    assert build.url.endswith("-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz")
    assert "freethreaded" not in build.url
    assert "debug" not in build.url


@pytest.mark.parametrize("version", ["3.10.13", "3.12.1", "3.14.0"])
def test_a_patch_level_is_that_one(listed: list[Build], version: str) -> None:
    build = choose(listed, version)
    assert build is not None
    assert build.version == version
    assert re.search(rf"cpython-{re.escape(version)}%2B\d+-x86_64-unknown-linux-gnu-install_only", build.url)


def _builds(*versions: str) -> list[Build]:
    return [Build(version, version, "") for version in versions]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param("3.12", "3.12.10", id="numbers-are-compared-as-numbers"),
        pytest.param("3.12.9", "3.12.9", id="patch-level"),
        pytest.param("3.1", None, id="no-prefix-of-3.12"),
        pytest.param("3.12.1", None, id="no-prefix-of-3.12.10"),
        pytest.param("3.16", None, id="pre-releases-are-no-releases"),
        pytest.param("3.16.0a2", "3.16.0a2", id="pre-release-by-its-name"),
    ],
)
def test_choose(wanted: str, expected: str | None) -> None:
    build = choose(_builds("3.16.0a2", "3.12.9", "3.12.10", "3.11.1"), wanted)
    assert (build and build.version) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param("3.12.99", ["3.12.10", "3.12.9"], id="above"),
        pytest.param("3.12.0", ["3.12.9", "3.12.10"], id="below"),
        pytest.param("3.19", ["3.14.2", "3.12.10", "3.11.1"], id="minor-above"),
        pytest.param("3.13.1", ["3.14.2", "3.12.10", "3.11.1"], id="minor-between"),
    ],
)
def test_nearest(wanted: str, expected: list[str]) -> None:
    builds = _builds("3.16.0a2", "3.14.2", "3.14.1", "3.12.9", "3.12.10", "3.11.1")
    assert nearest(builds, wanted) == expected


def test_fits() -> None:
    assert fits("3.12.1", "3.12")
    assert fits("3.12.1", "3.12.1")
    assert not fits("3.12.10", "3.12.1")
    assert not fits("3.12.1", "3.1")
