"""cog-nix.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.config import load_settings
from cog_nix.config.model import (
    GpuSettings,
    ImageSettings,
    LayerSettings,
    OriginSettings,
    Project,
    PushSettings,
    PythonSettings,
    RunSettings,
    ServeSettings,
    Settings,
    WeightFile,
)
from cog_nix.errors import ConfigError
from cog_nix_hooks.debian.settings import TABLE, DebianSettings

if TYPE_CHECKING:
    from pathlib import Path


def settings(root: Path, text: str) -> Settings:
    (root / "cog-nix.toml").write_text(text, "utf-8")
    return load_settings(Project(root, root / "cog.yaml"), [TABLE])


def test_no_file_means_defaults(tmp_path: Path) -> None:
    assert load_settings(Project(tmp_path, tmp_path / "cog.yaml")) == Settings()


def test_everything(tmp_path: Path) -> None:
    text = """
[debian]
mirror = "https://mirror.example.org/debian"
security_mirror = "file:///srv/debian-security"
suite = "trixie"
snapshot = "https://snapshot.example.org/archive"
[python]
exclude_newer = 2026-01-31T00:00:00Z
mirror = "file:///srv/pythons"
no_build_isolation = ["Flash_Attn"]
build_requires = { Some_Thing = ["numpy<2", "cython"] }
[layers]
heavy_bytes = 1_000
budget = 20
[gpu]
toolkit = "12.4"
[run]
keep = "1h30m"
[serve]
watch = ["prompts/*.json"]
[push]
compression = "zstd"
[origins]
archives = [" https://archive.example.org/models", "file:///srv/models"]
"""
    assert settings(tmp_path, text) == Settings(
        PythonSettings(
            "2026-01-31T00:00:00Z",
            "file:///srv/pythons",
            ("flash-attn",),
            (("some-thing", ("numpy<2", "cython")),),
        ),
        LayerSettings(1000, 20),
        gpu=GpuSettings("12.4"),
        run=RunSettings(5400),
        serve=ServeSettings(("prompts/*.json",)),
        push=PushSettings("zstd"),
        origins=OriginSettings(("https://archive.example.org/models", "file:///srv/models")),
        tables={
            "debian": DebianSettings(
                mirror="https://mirror.example.org/debian",
                security_mirror="file:///srv/debian-security",
                suite="trixie",
                snapshot="https://snapshot.example.org/archive",
            )
        },
    )


@pytest.mark.parametrize("written", ["true", "false"])
def test_the_toolkit_can_be_switched(tmp_path: Path, written: str) -> None:
    assert settings(tmp_path, f"[gpu]\ntoolkit = {written}").gpu == GpuSettings(written == "true")


@pytest.mark.parametrize("written", ['"12"', '"cuda-12.4"', "12.4", "[]"])
def test_a_toolkit_is_named_by_its_version(tmp_path: Path, written: str) -> None:
    with pytest.raises(ConfigError, match=r"gpu.toolkit must be true, false or a version of CUDA"):
        settings(tmp_path, f"[gpu]\ntoolkit = {written}")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("no_build_isolation = true", "python.no_build_isolation must be a list", id="flag"),
        pytest.param("no_build_isolation = ['']", "python.no_build_isolation must be a list", id="empty"),
        pytest.param("build_requires = ['numpy']", "python.build_requires must be a table", id="list"),
        pytest.param("build_requires = { a = 'numpy' }", "python.build_requires must be a table", id="text"),
    ],
)
def test_what_builds_need_is_checked(tmp_path: Path, written: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        settings(tmp_path, f"[python]\n{written}\n")
    assert "For example" in caught.value.shown()


def test_files_by_reference(tmp_path: Path) -> None:
    text = """
[weights]
files = [
  { path = "unet.pth", url = "https://example.org/unet.pth?download=1", sha256 = "%s" },
  { path = "/opt/vae.pth", url = "hf://org/repo@main/vae/model.pth", mount = true },
]
"""
    assert settings(tmp_path, text % ("0" * 64)).weights.files == (
        WeightFile("unet.pth", "https://example.org/unet.pth?download=1", "0" * 64),
        WeightFile("/opt/vae.pth", "hf://org/repo@main/vae/model.pth", mount=True),
    )


URL = 'url = "https://example.org/a"'


@pytest.mark.parametrize(
    "written",
    [
        '{ path = "a" }',
        f'{{ path = "../a", {URL} }}',
        f'{{ path = "a/", {URL} }}',
        f'{{ path = "a", {URL}, sha256 = "short" }}',
        f'{{ path = "a", {URL}, mounted = true }}',
        f'{{ path = "a", {URL}, mount = 1 }}',
        '{ path = "a", url = "https://me:secret@example.org/a" }',
        '{ path = "a", url = "https://example.org/" }',
        '{ path = "a", url = "hf://org/repo" }',
        f'{{ path = "a", {URL} }}, {{ path = "/src/a", {URL} }}',
        f'{{ path = "a", {URL} }}, {{ path = "a/b", {URL} }}',
    ],
)
def test_wrong_files_by_reference(tmp_path: Path, written: str) -> None:
    with pytest.raises(ConfigError, match=r"toml:2: weights\.files must be a list of tables") as caught:
        settings(tmp_path, f"[weights]\nfiles = [{written}]\n")
    assert "For example: files = [{" in caught.value.shown()


@pytest.mark.parametrize("written", ['"2026-01-31"', "2026-01-31"], ids=["text", "date"])
def test_a_day_is_a_date(tmp_path: Path, written: str) -> None:
    assert settings(tmp_path, f"[python]\nexclude_newer = {written}\n").python.exclude_newer == "2026-01-31"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "[debain]\n",
            ['cog-nix.toml:1: there is no setting "debain"', 'Did you mean "debian"?'],
            id="table",
        ),
        pytest.param(
            "x = 1\n",
            [
                "cog-nix.toml:1:",
                "Known are check, debian, gpu, image, layers, nix, origins, push, python, run, serve, ",
            ],
            id="top-level",
        ),
        pytest.param(
            "[python]\n[layers]\n  budgets = 3\n",
            [
                'cog-nix.toml:3: there is no setting "layers.budgets"',
                'Did you mean "budget"?',
                "3 |   budgets = 3",
            ],
            id="key",
        ),
        pytest.param("debian.miror = 'x'\n", ["cog-nix.toml:1:", 'Did you mean "mirror"?'], id="dotted"),
        pytest.param("debian = 1\n", ["cog-nix.toml:1: debian must be a table"], id="no-table"),
        pytest.param(
            "[debian]\nadditions = ['backports']\n",
            ["cog-nix.toml:2: debian.additions must be a list of updates and security"],
            id="additions",
        ),
        pytest.param(
            "[debian]\ncheck_valid_until = 1\n",
            ["cog-nix.toml:2: debian.check_valid_until must be true or false"],
            id="check-valid-until",
        ),
        pytest.param(
            "[debian]\nmirror = 'mirror'\n", ["cog-nix.toml:2: debian.mirror must be a URL"], id="url"
        ),
        pytest.param("[run]\nkeep = 600\n", ["cog-nix.toml:2: run.keep must be a time"], id="seconds"),
        pytest.param("[run]\nkeep = 'soon'\n", ["cog-nix.toml:2: run.keep must be a time"], id="no-time"),
        pytest.param(
            '[image]\nuser = "0x3e8"\n', ["cog-nix.toml:2: image.user must be uid[:gid]"], id="user"
        ),
        pytest.param(
            '[image]\nuser = "9999999"\n', ["cog-nix.toml:2: image.user must be uid[:gid]"], id="large user"
        ),
        pytest.param(
            "[serve]\nwatch = '*.json'\n", ["cog-nix.toml:2: serve.watch must be a list"], id="watch"
        ),
        pytest.param("[debian]\nsuite = 13\n", ["cog-nix.toml:2: debian.suite must be the name"], id="suite"),
        pytest.param("[python]\nexclude_newer = 'soon'\n", ["must be a date"], id="date"),
        pytest.param("[python]\nexclude_newer = 3\n", ["must be a date"], id="number-as-date"),
        pytest.param(
            "[debian]\ncog_base = 'yes'\n",
            ["cog-nix.toml:2: debian.cog_base must be true or false"],
            id="switch",
        ),
        pytest.param("[origins]\narchives = ['/srv/models']\n", ["must be a list of URLs"], id="archives"),
        pytest.param("[layers]\nbudget = 500\n", ["must be a number from 8 to 120"], id="budget"),
        pytest.param("[layers]\nbudget = true\n", ["must be a number from 8 to 120"], id="boolean"),
        pytest.param("[gpu]\ncompiler = 'no'\n", ["gpu.compiler must be true or false"], id="compiler"),
        pytest.param(
            "[push]\ncompression = 'xz'\n",
            ["push.compression must be one of gzip, zstd, zstd:chunked, none, auto"],
            id="xz",
        ),
        pytest.param("[layers]\nheavy_bytes = 0\n", ["must be a number of bytes"], id="bytes"),
        pytest.param("[layers\n", ["cog-nix.toml:1: this is not TOML", "1 | [layers"], id="syntax"),
        pytest.param(f"a = {'9' * 5000}", ["this is not TOML: Exceeds the limit"], id="digits"),
        pytest.param(
            "[layers]\nbudget = 0\nx = 1\n[y]\n",
            ["cog-nix.toml:2:", "cog-nix.toml:3:", "cog-nix.toml:4:"],
            id="all",
        ),
    ],
)
def test_errors(tmp_path: Path, text: str, expected: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, text)
    message = caught.value.shown()
    assert [part for part in expected if part not in message] == []


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "cog-nix.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(Project(tmp_path, tmp_path / "cog.yaml"))


@pytest.mark.parametrize(
    ("user", "owner"),
    [("1000", (1000, 0)), ("1000:1001", (1000, 1001)), ("nobody", None), ("1000:users", None), ("", None)],
)
def test_whose_the_project_is(user: str, owner: tuple[int, int] | None) -> None:
    assert ImageSettings(user).owner == owner
