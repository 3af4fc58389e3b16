"""What makes a lock stale, and what does not."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import (
    Build,
    Config,
    GpuSettings,
    LayerSettings,
    Mount,
    NixSettings,
    Observability,
    PythonSettings,
    RunCommand,
    Settings,
    Traces,
    Weight,
    WeightSource,
)
from cog_nix.resolve.inputs import digest
from cog_nix_hooks.debian.settings import DebianSettings

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = Config(build=Build(requirements=("numpy", "torch==2.5"), system_packages=("ffmpeg", "git")))

_BUILD_THAT_COUNTS: dict[str, Any] = {
    "python_version": "3.11",
    "requirements": ("numpy",),
    "system_packages": ("ffmpeg",),
    "sdk_version": "0.22.0",
    "gpu": True,
    "cuda": "12.4",
    "cuda_named": "12.4",
    "cudnn": "9",
    "run": (RunCommand("echo", (Mount("secret", "a", "/a"),)),),
    "pre_install": ("echo",),
}
_BUILD_THAT_DOES_NOT: dict[str, Any] = {
    "python_requirements": "requirements.txt",
    "python_packages": ("numpy", "torch==2.5"),
}
_REST_THAT_DOES_NOT: dict[str, Any] = {
    "image": "r8.example.org/me/model",
    "model": "x",
    "predict": "predict.py:Predictor",
    "train": "train.py:train",
    "concurrency_max": 4,
    "observability": Observability("t.py", Traces(enabled=False)),
    "weights": (Weight("a", "/w", (WeightSource("x"),)),),
    "environment": (("A", "b"),),
    "label": '{"x":1}',
}


@pytest.mark.parametrize("name", _BUILD_THAT_COUNTS)
def test_what_is_resolved_makes_a_lock_stale(name: str) -> None:
    build: Any = replace(_CONFIG.build, **{name: _BUILD_THAT_COUNTS[name]})
    assert digest(replace(_CONFIG, build=build), Settings()) != digest(_CONFIG, Settings())


@pytest.mark.parametrize("name", _BUILD_THAT_DOES_NOT)
def test_how_it_is_written_does_not(name: str) -> None:
    build: Any = replace(_CONFIG.build, **{name: _BUILD_THAT_DOES_NOT[name]})
    assert digest(replace(_CONFIG, build=build), Settings()) == digest(_CONFIG, Settings())


@pytest.mark.parametrize("name", _REST_THAT_DOES_NOT)
def test_the_rest_of_the_configuration_does_not(name: str) -> None:
    changed: Any = replace(_CONFIG, **{name: _REST_THAT_DOES_NOT[name]})
    assert digest(changed, Settings()) == digest(_CONFIG, Settings())


def test_tracing_brings_packages() -> None:
    traced = replace(_CONFIG, observability=Observability(None, Traces(enabled=True)))
    assert digest(traced, Settings()) != digest(_CONFIG, Settings())


def test_every_field_of_the_configuration_was_thought_of() -> None:
    assert {field.name for field in fields(Build)} == {*_BUILD_THAT_COUNTS, *_BUILD_THAT_DOES_NOT}
    assert {field.name for field in fields(Config)} == {"build", *_REST_THAT_DOES_NOT}


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        (Settings(tables={"debian": DebianSettings(suite="bookworm")}), True),
        (Settings(python=PythonSettings(exclude_newer="2026-01-01T00:00:00Z")), True),
        (Settings(layers=LayerSettings(heavy_bytes=1)), True),
        (Settings(gpu=GpuSettings(compiler=False)), True),
        (Settings(layers=LayerSettings(budget=30)), True),
        (Settings(nix=NixSettings(packages=("./tool.nix",))), True),
        (Settings(tables={"debian": DebianSettings(mirror="https://mirror.example.org/debian")}), False),
        (
            Settings(
                tables={"debian": DebianSettings(security_mirror="https://mirror.example.org/security")}
            ),
            False,
        ),
    ],
    ids=["suite", "exclude-newer", "heavy", "compiler", "budget", "packages", "mirror", "security-mirror"],
)
def test_settings_count_when_they_change_what_is_chosen(settings: Settings, counts: bool) -> None:  # noqa: FBT001 - a parameter
    assert (digest(_CONFIG, settings) != digest(_CONFIG, Settings())) is counts


def test_the_order_of_system_packages_does_not_count() -> None:
    build = replace(_CONFIG.build, system_packages=("git", "ffmpeg"))
    assert digest(replace(_CONFIG, build=build), Settings()) == digest(_CONFIG, Settings())


def test_a_change_of_the_digest_is_meant() -> None:
    # another value here makes every lock of every project stale
    known = "sha256:3a87c228e5a73328d46f70f6daea3f660b3ea8ae4c0a6e154b1948cc71415db4"
    assert digest(Config(), Settings()) == known


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        pytest.param("./dist/mine-1.0.tar.gz", True, id="archive"),
        pytest.param("-c dist/mine-1.0.tar.gz", True, id="constraints"),
        pytest.param("--requirement=./dist/mine-1.0.tar.gz ; x", True, id="requirements"),
        pytest.param("numpy", False, id="package"),
        pytest.param("--index-url https://h/dist", False, id="option"),
    ],
)
def test_the_project_s_own_files_make_a_lock_stale(tmp_path: Path, line: str, counts: bool) -> None:  # noqa: FBT001
    config = replace(_CONFIG, build=replace(_CONFIG.build, requirements=(line,)))
    path = tmp_path / "dist/mine-1.0.tar.gz"
    path.parent.mkdir()
    path.write_bytes(b"one")
    before = digest(config, Settings(), tmp_path)
    path.write_bytes(b"two")
    assert (digest(config, Settings(), tmp_path) != before) == counts


def test_the_environment_s_choice_of_the_sdk_makes_a_lock_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(_CONFIG, Settings())
    monkeypatch.setenv("COG_SDK_WHEEL", "pypi:0.22.0")
    assert digest(_CONFIG, Settings()) != before
