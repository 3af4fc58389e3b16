"""``--runtime``, ``COG_NIX_RUNTIME`` and ``auto``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import typer  # noqa: TC002 - the command line reads annotations
from typer.testing import CliRunner

from cog_nix.cli import runtimes
from cog_nix.cli.app import application
from cog_nix.cli.arguments import normalize
from cog_nix.errors import PluginError, RuntimeFailure
from cog_nix.plugins import manager as plugins
from cog_nix.plugins.spec import hookimpl
from cog_nix.report import SilentReporter
from cog_nix.runtime.session import require


@dataclass
class Fake:
    """A runtime, as far as choosing looks at it."""

    name: str
    why: str | None = None

    def available(self) -> str | None:
        return self.why


@dataclass
class Offers:
    """A plugin with runtimes."""

    runtimes: tuple[Fake, ...]

    @hookimpl
    def runtime_names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.runtimes)

    @hookimpl
    def provide_runtime(self, name: str) -> Fake | None:
        return next((one for one in self.runtimes if one.name == name), None)


def loaded(*offered: Fake, monkeypatch: pytest.MonkeyPatch) -> plugins.Plugins:
    monkeypatch.setattr(plugins, "BUILT_IN", ())
    found = plugins.load(entry_points=list)
    found.manager.register(Offers(offered))
    return found


def test_built_in_ones_are_asked_in_this_order() -> None:
    found = plugins.load({"COG_NIX_PLUGINS": "0"})
    assert found.runtime_names() == ["docker", "podman", "bundle"]
    assert [plugins.find_runtime(name, found).name for name in ("docker", "podman", "bundle")] == [
        "docker",
        "podman",
        "bundle",
    ]


@pytest.mark.parametrize(
    ("why", "taken"),
    [
        pytest.param((None, None), "a", id="first"),
        pytest.param(("off", None), "b", id="first-that-works"),
    ],
)
def test_auto(why: tuple[str | None, str | None], taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(Fake("a", why[0]), Fake("b", why[1]), monkeypatch=monkeypatch)
    assert plugins.find_runtime("auto", found).name == taken


def test_where_none_is_usable_each_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(Fake("a", "It is off."), Fake("b", "It is gone."), monkeypatch=monkeypatch)
    none = plugins.find_runtime("auto", found)
    with pytest.raises(RuntimeFailure) as refused:
        require(none)
    assert refused.value.message.splitlines()[1:] == ["  a: It is off.", "  b: It is gone."]
    assert refused.value.hint.startswith("Install or start one of them")
    for use in (none.image_id, none.image_labels, none.start):
        with pytest.raises(RuntimeFailure, match=r"b: It is gone\."):
            use("anything")  # type: ignore[arg-type]
    with pytest.raises(RuntimeFailure):
        none.pull("anything", SilentReporter())
    with pytest.raises(RuntimeFailure):
        none.load(Path("anything"), [], SilentReporter())


@pytest.mark.parametrize(
    ("name", "building", "starting"),
    [("docker", "Building Docker image", "Docker image"), ("podman", "Building image", "image in Podman")],
)
def test_the_runtime_is_told_by_its_name(name: str, building: str, starting: str) -> None:
    runtime = plugins.find_runtime(name, plugins.load({"COG_NIX_PLUGINS": "0"}))
    assert runtimes.building_for(runtime) == f"{building} from environment in cog.yaml...\n"
    assert runtimes.starting_in(runtime) == f"\nStarting {starting} and running setup()..."


def test_a_name_is_taken_usable_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(Fake("a"), Fake("b", "off"), monkeypatch=monkeypatch)
    assert plugins.find_runtime("b", found).name == "b"
    with pytest.raises(PluginError, match="named c") as failure:
        plugins.find_runtime("c", found)
    assert failure.value.hint == "Choose one of auto, a, b."


@pytest.mark.parametrize(
    ("arguments", "variable", "chosen"),
    [
        (["probe"], None, "auto"),
        (["--runtime", "bundle", "probe"], None, "bundle"),
        (["probe", "--runtime", "bundle"], None, "bundle"),
        (["probe", "--runtime=bundle"], "podman", "bundle"),
        (["probe"], "podman", "podman"),
        (["probe"], "", "auto"),
    ],
)
def test_flag_and_variable(
    arguments: list[str], variable: str | None, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(plugins, "find_runtime", lambda name, *_: asked.append(name))
    monkeypatch.setattr("cog_nix.cli.app.trust", lambda *_: {})
    monkeypatch.delenv("COG_NIX_RUNTIME", raising=False)
    if variable is not None:
        monkeypatch.setenv("COG_NIX_RUNTIME", variable)

    class Probe:
        @hookimpl
        def register_commands(self, app: typer.Typer) -> None:
            @app.command()
            def probe(ctx: typer.Context) -> None:
                ctx.obj.find_runtime()

    found = plugins.load({"COG_NIX_PLUGINS": "0"})
    found.manager.register(Probe())
    result = CliRunner().invoke(application(found), normalize(arguments))
    assert result.exception is None, result.output
    assert asked == [chosen]
