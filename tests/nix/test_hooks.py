"""The hooks around a build, called by a real one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import stream

from cog_nix.build.story import BuildOptions, Services, build
from cog_nix.config.model import Project
from cog_nix.errors import ConfigError
from cog_nix.plugins import manager as plugins
from cog_nix.plugins.spec import hookimpl
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cog_nix.config.model import Config

pytestmark = [pytest.mark.nix, pytest.mark.network]


class _Ears:
    """Hears of everything, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    @hookimpl
    def before_build(self, project: Project, config: Config) -> None:
        self.heard.append(("before", (project.root, config.predict)))

    @hookimpl
    def after_build(self, project: Project, image: Path, details: Mapping[str, Any]) -> None:
        self.heard.append(("after", (project.root, image, dict(details))))


class _Refuses:
    @hookimpl
    def before_build(self) -> None:
        raise ConfigError("not on a Friday")


def _project(root: Path) -> Project:
    return Project(root, root / "cog.yaml")


def _services(plugin: object) -> Services:
    loaded = plugins.load({"COG_NIX_PLUGINS": "0"})
    loaded.manager.register(plugin, name="ears")
    return Services(loaded, SilentReporter())


def test_plugins_hear_of_a_build_before_and_after(
    hello: tuple[Any, stream.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, image = hello
    monkeypatch.setenv("COG_NIX_STORE", str(first.store))
    ears = _Ears()
    build(_project(first.project), BuildOptions(tag="mine:1", result_link=False), _services(ears))
    (before, (root, predict)), (after, (_, path, details)) = ears.heard
    assert (before, after) == ("before", "after")
    assert (root, predict) == (first.project, "run.py:Runner")
    assert stream.image_id(stream.read(path)) == stream.image_id(image) == details["id"]
    assert (details["tag"], details["size"]) == ("mine:1", sum(layer["size"] for layer in image["layers"]))


def test_a_plugin_stops_a_build_before_anything_is_made(
    copy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    project = copy("refused")
    monkeypatch.setenv("COG_NIX_STORE", str(folder / "store"))
    with pytest.raises(ConfigError, match="not on a Friday"):
        build(_project(project), BuildOptions(), _services(_Refuses()))
    assert {path.name for path in project.iterdir()} & {"cog-nix.lock", "result"} == set()


def test_labels_and_a_document_of_the_user_are_in_the_image(
    hello: tuple[Any, stream.Image], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, _ = hello
    monkeypatch.setenv("COG_NIX_STORE", str(first.store))
    document = '{"openapi": "3.0.2", "info": {"title": "Größe", "version": "1"}, "paths": {}}'
    (tmp_path / "openapi.json").write_text(document)
    options = BuildOptions(labels={"a.b": "c=d"}, openapi=tmp_path / "openapi.json", result_link=False)
    path = build(_project(first.project), options, _services(_Ears())).image.path
    labels = json.loads(stream.read(path)["config"])["config"]["Labels"]
    assert labels["a.b"] == "c=d"
    assert labels["run.cog.openapi_schema"] == (tmp_path / "openapi.json").read_text()
