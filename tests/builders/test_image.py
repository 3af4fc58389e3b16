"""The image's configuration: environment, labels, and the list that pip would print."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import archive
import failure
import image
import pytest

from cog_nix.config.environment import IMAGE

if TYPE_CHECKING:
    from pathlib import Path

_DESCRIBED: dict[str, Any] = {
    "gpu": False,
    "predict": "predict.py:Predictor",
    "train": None,
    "concurrency_max": None,
    "image": list(IMAGE.items()),
    "environment": [],
    "tracing": [],
    "version": "0.23.1",
    "label": "{}",
}


def _env(described: dict[str, Any], extra: list[list[str]]) -> dict[str, str]:
    listed = image.environment({**_DESCRIBED, **described}, extra)
    values = dict(line.split("=", 1) for line in listed)
    assert len(values) == len(listed), "a name stands there once"
    return values


def test_a_plain_project_has_upstreams_environment() -> None:
    assert _env({}, []) == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "PYTHONUNBUFFERED": "1",
        "LD_LIBRARY_PATH": "/usr/lib/x86_64-linux-gnu:/usr/local/nvidia/lib64:/usr/local/nvidia/bin",
        "NVIDIA_DRIVER_CAPABILITIES": "all",
        "COG_PREDICT_TYPE_STUB": "predict.py:Predictor",
    }


@pytest.mark.parametrize(
    ("described", "extra", "name", "value"),
    [
        ({"gpu": True}, [], "NVIDIA_VISIBLE_DEVICES", "all"),
        ({"train": "train.py:train"}, [], "COG_TRAIN_TYPE_STUB", "train.py:train"),
        ({"concurrency_max": 4}, [], "COG_MAX_CONCURRENCY", "4"),
        ({}, [["PLUGIN", "a"]], "PLUGIN", "a"),
        ({"environment": [["PLUGIN", "b"]]}, [["PLUGIN", "a"]], "PLUGIN", "b"),
        ({"tracing": [["COG_TRACE_ENABLED", "true"]]}, [], "COG_TRACE_ENABLED", "true"),
        (
            {"environment": [["COG_MAX_CONCURRENCY", "9"]], "concurrency_max": 4},
            [],
            "COG_MAX_CONCURRENCY",
            "4",
        ),
        ({"environment": [["PYTHONUNBUFFERED", "0"]]}, [], "PYTHONUNBUFFERED", "0"),
        ({"environment": [["X", "a=b"]]}, [], "X", "a=b"),
        ({"environment": [["EMPTY", ""]]}, [], "EMPTY", ""),
    ],
    ids=[
        "gpu",
        "train",
        "concurrency",
        "a-plugin",
        "cog.yaml-over-a-plugin",
        "tracing",
        "what-cog-sets-over-cog.yaml",
        "cog.yaml-over-us",
        "equals-sign",
        "empty",
    ],
)
def test_what_adds_to_the_environment(
    described: dict[str, Any], extra: list[list[str]], name: str, value: str
) -> None:
    assert _env(described, extra)[name] == value


def test_annotations_replace_labels_and_plugins_do_not() -> None:
    spec = {
        "lock": {
            "labels": [["run.cog.version", "plugin"], ["mine", "plugin"]],
            "digest": "sha256:1",
            "snapshot": "2026-01-31T00:00:00Z",
            "suite": "trixie",
        },
        "labels": {"mine": "user", "run.cog.config": "user"},
    }
    assert image.labels(_DESCRIBED, "{doc}", "cog==0.23.1\n", spec) == {
        "mine": "user",
        "run.cog.nix.lock": "sha256:1",
        "run.cog.nix.snapshot": "2026-01-31T00:00:00Z",
        "run.cog.nix.suite": "trixie",
        "run.cog.version": "0.23.1",
        "run.cog.config": "user",
        "run.cog.openapi_schema": "{doc}",
        "run.cog.pip_freeze": "cog==0.23.1\n",
        "run.cog.has_init": "true",
    }


_DISTRIBUTIONS = [
    ("zope.interface", "7.0"),
    ("PyYAML", "6.0.2"),
    ("Pillow", "11.0"),
    ("pip", "25.0"),
    ("setuptools", "75.0"),
    ("wheel", "0.45"),
    ("anyio", "4.0"),
    ("typing_extensions", "4.12"),
    ("torch", "2.5.1+cu124"),
    ("a", "1"),
    ("a-b", "1"),
    ("a.b.c", "1"),
]


def test_freeze_prints_what_pip_prints(tmp_path: Path) -> None:
    """The real pip, on distributions that are installed as far as it looks."""
    site = tmp_path / "site"
    for name, version in _DISTRIBUTIONS:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "INSTALLER").write_text("cog-nix\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "--isolated", "freeze", "--path", str(site)],
        capture_output=True,
        text=True,
        check=True,
    )
    given = [{"name": name, "version": version} for name, version in _DISTRIBUTIONS]
    version = ".".join(map(str, sys.version_info[:3]))
    assert image.freeze(given, version) == ran.stdout


@pytest.mark.parametrize(
    ("python", "expected"),
    [("3.11.2", "anyio==4\n"), ("3.12.0", "anyio==4\nsetuptools==75\nwheel==1\n")],
    ids=["before-3.12", "from-3.12"],
)
def test_freeze_hides_setuptools_where_venv_brought_it(python: str, expected: str) -> None:
    names = [("wheel", "1"), ("pip", "25"), ("anyio", "4"), ("setuptools", "75")]
    assert image.freeze([{"name": name, "version": version} for name, version in names], python) == expected


def test_the_configuration_follows_the_layers(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/config.json").write_text(json.dumps(_DESCRIBED))
    (tmp_path / "source/openapi_schema.json").write_text('{"openapi":"3.0.2"}')
    (tmp_path / "wheel").mkdir()
    (tmp_path / "wheel/distribution.json").write_text('{"name": "Cog", "version": "0.23.1"}')
    archive.write_fragment(tmp_path / "layer", [archive.Entry("x", 0o644, data=b"x")], "x")
    layer = image.read_layer({"name": "mine", "path": str(tmp_path / "layer")}, tmp_path / "source")
    spec = {
        "source": tmp_path / "source",
        "distributions": [str(tmp_path / "wheel")],
        "results": [],
        "imagePython": "3.13.5",
        "labels": {},
        "config": {"User": "nobody"},
        "lock": {"environment": [], "labels": [], "digest": "sha256:1", "snapshot": "", "suite": "trixie"},
    }
    made = image.configuration(spec, [layer])
    assert made["config"]["Labels"]["run.cog.pip_freeze"] == "Cog==0.23.1\n"
    assert made["config"]["Entrypoint"] == ["/sbin/tini", "--"]
    assert made["config"]["Cmd"] == ["python", "-m", "cog.server.http"]
    assert made["config"]["User"] == "nobody"
    assert made["config"]["WorkingDir"] == "/src"
    assert made["config"]["ExposedPorts"] == {"5000/tcp": {}}
    assert (made["architecture"], made["os"], made["created"]) == ("amd64", "linux", "1970-01-01T00:00:00Z")
    assert made["rootfs"]["diff_ids"] == [layer["diff_id"]]
    assert [one["created_by"] for one in made["history"]] == ["cog-nix: mine"]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [({"Env": ["A=b"]}, "config.Env; use environment"), ({"user": "me"}, "config.user; known are Cmd, ")],
    ids=["better-place", "unknown"],
)
def test_an_overlay_replaces_only_what_is_there(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(failure.BuildError, match=sentence):
        image.replaced(config)


def test_a_layer_that_is_not_here_is_taken_as_it_is_told(tmp_path: Path) -> None:
    told = {"name": "base", "diff_id": "sha256:1", "size": 9}
    assert image.read_layer(told, tmp_path) == {**told, "parts": []}


def test_the_source_is_the_layer_without_a_path(tmp_path: Path) -> None:
    archive.write_fragment(tmp_path / "source", [archive.Entry("x", 0o644, data=b"x")], "source")
    layer = image.read_layer({"name": "source", "path": None}, tmp_path / "source")
    part = layer["parts"][0]
    assert "path" in part
    assert part["path"].startswith(str(tmp_path / "source"))
