"""Pushing an image whose layers the registry is said to hold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.build.services import Services
from cog_nix.cli import push, pushing
from cog_nix.cli.session import Session
from cog_nix.errors import LockError
from cog_nix.lock import format as lock_format
from cog_nix.plugins import manager as plugins
from cog_nix.registry import cosign
from cog_nix.registry.failures import MissingBlobsError
from cog_nix.registry.push import Pushed
from cog_nix.system.platforms import ARM64
from tests.lock.conftest import make_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.build.options import BuildOptions
    from cog_nix.lock.model import Lock
    from cog_nix.resolve.request import Request

_BOTH = "[image]\nplatforms = ['linux/amd64', 'linux/arm64']\n"


def _project(folder: Path, settings: str = "") -> None:
    (folder / "cog.yaml").write_text('build:\n  python_version: "3.13"\nrun: "run.py:Runner"\n')
    (folder / "cog-nix.toml").write_text(settings)
    (folder / "run.py").touch()


@pytest.mark.parametrize(
    ("settings", "given", "packing", "thin"),
    [
        pytest.param("", {}, "gzip", True, id="usual"),
        pytest.param("[push]\ncompression = 'zstd'\n", {}, "zstd", False, id="setting"),
        pytest.param("[push]\ncompression = 'zstd'\n", {"compression": "gzip"}, "gzip", True, id="option"),
        pytest.param("", {"compression": "zstd:chunked"}, "zstd:chunked", False, id="chunked"),
        pytest.param("", {"embed_sbom": True}, "gzip", False, id="bill-inside"),
        pytest.param("", {"sbom": True}, "gzip", False, id="bill"),
        pytest.param("", {"provenance": True}, "gzip", True, id="provenance"),
    ],
)
def test_how_layers_go(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: str,
    given: dict[str, Any],
    packing: str,
    *,
    thin: bool,
) -> None:
    """The option counts before the setting. A thin push has gzip, and reads no layers."""
    _project(tmp_path, settings)
    monkeypatch.chdir(tmp_path)
    asked: list[BuildOptions] = []
    sent: list[object] = []

    def build_image(_session: object, _file: str, options: BuildOptions, *_: object, **__: object) -> Any:
        asked.append(options)
        return SimpleNamespace(oci="layout", kept=None)

    def push_built(*arguments: Any, **_: object) -> Pushed:
        sent.append(arguments[-1])
        return Pushed("localhost:1/me/model@sha256:1")

    monkeypatch.setattr(push, "build_image", build_image)
    monkeypatch.setattr(push, "push_built", push_built)
    monkeypatch.setattr(push, "_attach", lambda *_, **__: {})
    monkeypatch.setattr(pushing.Record, "add", lambda *_: None)
    session = Session(plugins.load({"COG_NIX_PLUGINS": "0"}))
    push.push(session, push._Options(target="localhost:1/me/model:v1", **given))
    assert [(options.packing, options.held is not None) for options in asked] == [(packing, thin)]
    assert sent == [packing]


def test_where_the_registry_lost_a_layer_the_image_is_built_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _project(tmp_path)
    monkeypatch.chdir(tmp_path)
    asked: list[BuildOptions] = []
    recorded: list[object] = []

    def build_image(_session: object, _file: str, options: BuildOptions, *_: object, **__: object) -> Any:
        asked.append(options)
        return SimpleNamespace(oci=f"layout {len(asked)}", kept=None)

    def push_built(oci: str, *_: Any, **__: object) -> Pushed:
        if oci == "layout 1":
            raise MissingBlobsError(("sha256:0",))
        return Pushed("localhost:1/me/model@sha256:1")

    monkeypatch.setattr(push, "build_image", build_image)
    monkeypatch.setattr(push, "push_built", push_built)
    monkeypatch.setattr(pushing.Record, "add", lambda _self, oci, _pushed: recorded.append(oci))
    session = Session(plugins.load({"COG_NIX_PLUGINS": "0"}))
    push.push(session, push._Options(target="localhost:1/me/model:v1"))
    assert [options.held is not None for options in asked] == [True, False]
    assert recorded == ["layout 2"]
    told = capsys.readouterr().err
    assert "warning: The registry lacks 1 layer that it held a moment ago. The image is built whole." in told


@pytest.mark.parametrize(
    ("settings", "model", "signed"),
    [
        pytest.param("", "", [], id="image"),
        pytest.param("", "@sha256:bundle", ["@sha256:bundle"], id="bundle"),
        pytest.param(_BOTH, "", ["@sha256:index"], id="platforms"),
    ],
)
def test_an_index_is_signed_beside_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, model: str, signed: list[str]
) -> None:
    _project(tmp_path, settings)
    monkeypatch.chdir(tmp_path)
    found: list[str] = []
    built = SimpleNamespace(oci="layout", kept=None)
    monkeypatch.setattr(push, "build_image", lambda *_, **__: built)
    monkeypatch.setattr(push, "push_built", lambda *_, **__: Pushed("@sha256:image", model))
    monkeypatch.setattr(push, "_push_index", lambda *_: Pushed("@sha256:index"))
    monkeypatch.setattr(push, "ensure_lock", lambda *_: None)
    monkeypatch.setattr(push, "_attach", lambda *_, **__: {})
    monkeypatch.setattr(pushing.Record, "add", lambda *_: None)
    monkeypatch.setattr(cosign, "refuse_without", lambda _: None)
    monkeypatch.setattr(cosign, "sign", lambda image, *_: found.append(image))
    push.push(
        Session(plugins.load({"COG_NIX_PLUGINS": "0"})),
        push._Options(target="localhost:1/me/model:v1", sign=True),
    )
    assert found == signed


def _other_python(project: Path) -> None:
    path = project / "cog.yaml"
    path.write_text(path.read_text().replace("3.13", "3.12"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(
            lambda project: lock_format.forget(ARM64, project / "cog-nix.lock"),
            "is for linux/amd64, and not for linux/arm64",
            id="one-lacks",
        ),
        pytest.param(_other_python, "does not fit cog.yaml any more", id="old"),
    ],
)
def test_nothing_is_built_or_signed_before_each_platform_has_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None], words: str
) -> None:
    _project(tmp_path, _BOTH)
    (tmp_path / "cog.yaml").write_text("build:\n  python_version: '3.13'\n  run: [echo hello > /hello]\n")
    monkeypatch.chdir(tmp_path)
    done: list[str] = []

    def resolve(request: Request) -> Lock:
        done.append(f"lock {request.project.platform}")
        return make_lock(inputs=request.digest, platform=request.project.platform.name)

    def build_image(_session: object, _file: str, options: BuildOptions, *_: object, **__: object) -> Any:
        done.append(f"build {options.platform}")
        return SimpleNamespace(oci="layout", kept=None)

    def attach(_session: object, _options: object, one: push._Done, *_: object) -> dict[str, str]:
        done.append(f"attach {one.project.platform}")
        return {}

    monkeypatch.setattr(Services, "resolver", staticmethod(lambda _: resolve))
    monkeypatch.setattr(push, "build_image", build_image)
    monkeypatch.setattr(push, "push_built", lambda *_, **__: Pushed("@sha256:image"))
    monkeypatch.setattr(push, "_push_index", lambda *_: Pushed("@sha256:index"))
    monkeypatch.setattr(push, "_attach", attach)
    monkeypatch.setattr(pushing.Record, "add", lambda *_: None)
    session = Session(plugins.load({"COG_NIX_PLUGINS": "0"}))
    options = push._Options(target="localhost:1/me/model:v1")
    both = ("linux/amd64", "linux/arm64")
    push.push(session, options)
    assert done == [f"{verb} {one}" for verb in ("lock", "build", "attach") for one in both]
    done.clear()
    spoil(tmp_path)
    with pytest.raises(LockError, match=words):
        push.push(session, options)
    assert not done
