from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import Build
from cog_nix.errors import ConfigError, LockError
from cog_nix.lock.model import Artifact, Wheel
from cog_nix.resolve import sdk
from cog_nix.system.platforms import ARM64

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a folder without wheels: a path is looked for where the command runs first."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


def lines(
    root: Path, *requirements: str, version: str | None = None, **environ: str
) -> tuple[list[str], list[str]]:
    """Return the lines and the warnings."""
    warnings: list[str] = []
    build = Build(requirements=requirements, sdk_version=version)
    return list(sdk.requirements(build, root, warnings.append, environ)), warnings


@pytest.mark.parametrize(
    ("version", "environ", "expected"),
    [
        pytest.param(None, {}, ["cog>=0.17.0", "coglet", "pip"], id="newest"),
        pytest.param("0.23.1", {}, ["cog==0.23.1", "coglet", "pip"], id="pinned"),
        pytest.param("0.16.0", {}, ["cog==0.16.0", "pip"], id="before-coglet"),
        pytest.param("0.17.0-alpha1", {}, ["cog==0.17.0a1", "coglet>=0.0a0", "pip"], id="semver-prerelease"),
        pytest.param("0.17.0-dev", {}, ["cog==0.17.0.dev0", "coglet>=0.0a0", "pip"], id="semver-dev"),
        pytest.param("0.18.0rc2", {}, ["cog==0.18.0rc2", "coglet>=0.0a0", "pip"], id="prerelease"),
        pytest.param(
            "0.23.1",
            {"COG_SDK_WHEEL": "pypi:0.22.0"},
            ["cog==0.22.0", "coglet", "pip"],
            id="environment-first",
        ),
        pytest.param(
            "0.23.1", {"COG_SDK_WHEEL": "PyPI"}, ["cog>=0.17.0", "coglet", "pip"], id="newest-by-environment"
        ),
        pytest.param(
            None,
            {"COG_SDK_WHEEL": "https://h/cog-1-py3-none-any.whl", "COGLET_WHEEL": "pypi:0.17.5"},
            ["cog @ https://h/cog-1-py3-none-any.whl", "coglet==0.17.5", "pip"],
            id="url",
        ),
    ],
)
def test_the_sdk_is_chosen(
    tmp_path: Path, version: str | None, environ: dict[str, str], expected: list[str]
) -> None:
    assert lines(tmp_path, version=version, **environ) == (expected, [])


def test_the_newest_prerelease_comes_with_a_warning(tmp_path: Path) -> None:
    found, warnings = lines(tmp_path, version="prerelease")
    assert found == ["cog>=0.17.0a0", "coglet>=0.0a0", "pip"]
    assert "production" in warnings[0]


@pytest.mark.parametrize("value", ["dist", "dist/cog-1.0-py3-none-any.whl", "ABSOLUTE"])
def test_a_wheel_of_one_s_own(tmp_path: Path, value: str) -> None:
    wheel = tmp_path / "dist/cog-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    (tmp_path / "dist/coglet-1.0-cp310-abi3-manylinux_2_17_x86_64.whl").touch()
    (tmp_path / "dist/coglet-1.0-cp310-abi3-manylinux_2_17_aarch64.whl").touch()
    found, _ = lines(tmp_path, COG_SDK_WHEEL=value.replace("ABSOLUTE", str(wheel)), COGLET_WHEEL="dist")
    assert found[0] == f"cog @ {wheel.as_uri()}"
    assert found[1].endswith("manylinux_2_17_x86_64.whl")
    environ = {"COG_SDK_WHEEL": value.replace("ABSOLUTE", str(wheel)), "COGLET_WHEEL": "dist"}
    found = list(sdk.requirements(Build(), tmp_path, print, environ, ARM64))
    assert found[0] == f"cog @ {wheel.as_uri()}"
    assert found[1].endswith("manylinux_2_17_aarch64.whl")


def test_wheels_of_one_s_own_are_named(tmp_path: Path) -> None:
    urls = {"cog": "./dist/cog-1-py3-none-any.whl", "coglet": "file:///a%20b/coglet.whl", "six": "./six.whl"}
    locked = [Wheel(name, "1", Artifact("x.whl", url, "0" * 64, 1)) for name, url in urls.items()]
    locked.append(Wheel("cog", "1", Artifact("x.whl", "https://index.example.org/x.whl", "0" * 64, 1)))
    assert list(sdk.local_wheels(locked, tmp_path)) == [
        f"Using local cog wheel: {tmp_path}/dist/cog-1-py3-none-any.whl",
        "Using local coglet wheel: /a b/coglet.whl",
    ]


@pytest.mark.parametrize(
    ("version", "environ", "message"),
    [
        pytest.param("0.15.9", {}, "0.15.9 is below the minimum required version 0.16.0", id="too-old"),
        pytest.param(None, {"COG_SDK_WHEEL": "pypi:0.1"}, "below the minimum", id="too-old-by-environment"),
        pytest.param("latest", {}, "'latest' is not a version", id="no-version"),
        pytest.param(
            None, {"COG_SDK_WHEEL": "/nowhere"}, "COG_SDK_WHEEL: path not found: /nowhere", id="gone"
        ),
        pytest.param(None, {"COGLET_WHEEL": "."}, "COGLET_WHEEL: no wheel matches", id="empty-folder"),
    ],
)
def test_what_is_no_sdk_is_refused(
    tmp_path: Path,
    version: str | None,
    environ: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigError, LockError), match=message) as caught:
        lines(tmp_path, version=version, **environ)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("line", "environ", "instead"),
    [
        pytest.param("cog==0.9", {}, "latest cog from PyPI", id="cog"),
        pytest.param("Coglet @ https://h/x.whl", {}, "latest coglet from PyPI", id="coglet"),
        pytest.param("cog[x]", {"COG_SDK_WHEEL": "pypi:0.22.0"}, "cog==0.22.0 from PyPI", id="pinned"),
        pytest.param("cog", {"COG_SDK_WHEEL": "https://h/c.whl"}, "https://h/c.whl", id="url"),
    ],
)
def test_the_project_s_own_choice_is_overridden(
    tmp_path: Path, line: str, environ: dict[str, str], instead: str
) -> None:
    found, warnings = lines(tmp_path, line, "cogs", **environ)
    assert found[0] == "cogs"
    assert line not in found
    assert f"'{line}' found in requirements: overriding with {instead}." in warnings[0]
    assert "COG" in warnings[0]


def test_warnings_show_no_credentials(tmp_path: Path) -> None:
    _, warnings = lines(tmp_path, "cog", COG_SDK_WHEEL="https://u:hunter2@h/cog-1-py3-none-any.whl")
    assert "hunter2" not in warnings[0]


def test_the_environment_is_part_of_what_a_lock_answers() -> None:
    assert sdk.overrides(None, {}) == {}
    found = sdk.overrides(None, {"COG_SDK_WHEEL": " pypi:1 ", "COGLET_WHEEL": ""})
    assert found == {"COG_SDK_WHEEL": ["pypi:1", ""]}


def test_a_changed_wheel_of_one_s_own_counts(tmp_path: Path) -> None:
    wheel = tmp_path / "dist/cog-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    environ = {"COG_SDK_WHEEL": "dist"}
    seen = [sdk.overrides(tmp_path, environ)]
    for content in ("one", "two"):
        wheel.write_text(content)
        seen.append(sdk.overrides(tmp_path, environ))
    assert seen[0] != seen[1] != seen[2]
