"""The plugin manager: built-in plugins always, others as far as they work."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import ConfigError, PluginError
from cog_nix.plugins import manager as plugins
from cog_nix.plugins.spec import Spec, SystemFacts, hookimpl
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class _EntryPoint:
    name: str
    load: Callable[[], Any]


def _load(*entry_points: _EntryPoint, choice: str | None = None) -> plugins.Plugins:
    environment = {} if choice is None else {"COG_NIX_PLUGINS": choice}
    return plugins.load(environment, lambda: entry_points)


class _Labels:
    def __init__(self, value: str = "1") -> None:
        self.value = value

    @hookimpl
    def image_labels(self) -> dict[str, str]:
        return {"label": self.value}


class _Raises:
    @hookimpl
    def image_labels(self) -> dict[str, str]:
        return self._deeper()

    def _deeper(self) -> dict[str, str]:
        raise ZeroDivisionError("division by zero")


class _Complains:
    @hookimpl
    def before_build(self) -> None:
        raise ConfigError("not on a Friday")


class _Unknown:
    @hookimpl
    def image_lables(self) -> dict[str, str]:
        return {}


class _Extra:
    @hookimpl
    def image_labels(self, config: object, colour: object) -> dict[str, str]:
        return {str(config): str(colour)}


_UNUSED: Any = None
"""What nobody here looks at."""


def _no_such_module() -> Any:
    return importlib.import_module("no_such_module_of_a_plugin")


def _labels(loaded: plugins.Plugins) -> list[dict[str, str]]:
    return [dict(answer) for answer in _ask_for_labels(loaded) if "label" in answer]


def _ask_for_labels(loaded: plugins.Plugins) -> list[Mapping[str, str]]:
    return loaded.image_labels(_UNUSED, _UNUSED)


def test_built_in_plugins_are_there_and_fit() -> None:
    names = [name for name, _ in _load().manager.list_name_plugin()]
    assert set(names) == set(plugins.BUILT_IN)


def test_an_installed_plugin_is_asked_before_the_built_in_ones() -> None:
    loaded = _load(_EntryPoint("mine", _Labels))
    assert _labels(loaded) == [{"label": "1"}]
    for hook in ("provide_interpreter", "resolve_system_packages", "provide_runtime"):
        callers = getattr(loaded.manager.hook, hook).get_hookimpls()
        assert callers, f"nobody built in answers {hook}"

    class First:
        @hookimpl
        def provide_runtime(self, name: str) -> str:
            return f"mine for {name}"

    loaded = _load(_EntryPoint("mine", First))
    asked: object = loaded.provide_runtime("docker", SilentReporter())
    assert asked == "mine for docker"


def test_built_in_plugins_are_asked_in_their_order() -> None:
    loaded = _load()
    for hook in vars(loaded.manager.hook).values():
        asked = [implementation.plugin_name for implementation in reversed(hook.get_hookimpls())]
        assert asked == [name for name in plugins.BUILT_IN if name in asked]


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (_no_such_module, "ModuleNotFoundError: No module named 'no_such_module_of_a_plugin'"),
        (_Unknown, "PluginValidationError: unknown hook 'image_lables'"),
        (_Extra, "PluginValidationError: Plugin 'broken' for hook 'image_labels'"),
    ],
    ids=["cannot-be-imported", "unknown-hook", "unknown-argument"],
)
def test_a_broken_plugin_is_named_and_left_out(load: Callable[[], Any], reason: str) -> None:
    loaded = _load(_EntryPoint("broken", load), _EntryPoint("good", _Labels))
    assert list(loaded.broken) == ["broken"]
    assert loaded.broken["broken"].startswith(reason)
    assert not loaded.manager.has_plugin("broken")
    assert _labels(loaded) == [{"label": "1"}], "the other one works"


@pytest.mark.parametrize("name", ["twice", plugins.BUILT_IN[0]], ids=["another", "built-in"])
def test_a_second_plugin_of_a_name_leaves_the_first_alone(name: str) -> None:
    loaded = _load(_EntryPoint(name, _Labels), _EntryPoint(name, lambda: _Labels("2")))
    assert loaded.broken == {name: "another plugin has the same name"}
    assert loaded.manager.has_plugin(name)
    assert set(plugins.BUILT_IN) <= {known for known, _ in loaded.manager.list_name_plugin()}


@pytest.mark.parametrize(
    ("choice", "names", "broken"),
    [
        (None, {"one", "two"}, {}),
        ("0", set(), {}),
        ("", set(), {}),
        ("two", {"two"}, {}),
        (" one , two ,", {"one", "two"}, {}),
        ("tow", set(), {"tow": "COG_NIX_PLUGINS names it, and it is not installed"}),
    ],
    ids=["unset", "off", "empty", "one", "both", "misspelt"],
)
def test_the_switch(choice: str | None, names: set[str], broken: dict[str, str]) -> None:
    loaded = _load(_EntryPoint("one", _Labels), _EntryPoint("two", lambda: _Labels("2")), choice=choice)
    assert {name for name, _ in loaded.manager.list_name_plugin()} - set(plugins.BUILT_IN) == names
    assert loaded.broken == broken


def test_with_the_switch_off_nobody_is_looked_for() -> None:
    def look() -> list[_EntryPoint]:
        raise AssertionError("entry points were read")

    plugins.load({"COG_NIX_PLUGINS": "0"}, look)


def test_a_plugin_that_dies_is_blamed_by_name() -> None:
    loaded = _load(_EntryPoint("bad", _Raises))
    with pytest.raises(PluginError) as error:
        _ask_for_labels(loaded)
    assert error.value.message == "The plugin bad failed in image_labels: ZeroDivisionError: division by zero"
    assert "COG_NIX_PLUGINS=0" in error.value.hint
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_a_plugin_of_many_modules_is_blamed_by_name() -> None:
    """The implementation stands elsewhere than the module that is registered."""
    module = ModuleType("a_package")
    module.image_labels = hookimpl(lambda: 1 / 0)  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match="The plugin package failed in image_labels"):
        _ask_for_labels(_load(_EntryPoint("package", lambda: module)))


def test_a_plugins_own_message_to_the_user_passes() -> None:
    loaded = _load(_EntryPoint("strict", _Complains))
    with pytest.raises(ConfigError, match="not on a Friday"):
        loaded.before_build(_UNUSED, _UNUSED)


def test_a_bug_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = _load()
    monkeypatch.setattr(plugins, "BUILT_IN", (*plugins.BUILT_IN, "bad"))
    loaded.manager.register(_Raises(), name="bad")
    with pytest.raises(ZeroDivisionError):
        _ask_for_labels(loaded)


def test_a_built_in_plugin_that_does_not_fit_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("misfit")
    module.image_lables = _Unknown.image_lables  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "misfit", module)
    monkeypatch.setattr(plugins, "BUILT_IN", ("misfit",))
    with pytest.raises(
        PluginError, match="A built-in plugin does not fit the hooks: unknown hook 'image_lables'"
    ):
        _load()


def test_a_runtime_that_nobody_provides_is_named() -> None:
    with pytest.raises(PluginError, match="No plugin provides a runtime named podless"):
        plugins.find_runtime("podless", _load())


def test_a_plugin_that_is_installed_is_found_by_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "cog_nix_tea.py").write_text(
        "from cog_nix.plugins.spec import hookimpl\n\n\n"
        "@hookimpl\n"
        "def register_commands(app):\n"
        "    @app.command()\n"
        "    def tea():\n"
        "        print('earl grey')\n"
    )
    info = tmp_path / "cog_nix_tea-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cog-nix-tea\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cog_nix]\ntea = cog_nix_tea\nspilt = cog_nix_spilt\n")
    path = [str(tmp_path), *(str(ROOT / part) for part in ("", "hooks"))]
    ran = subprocess.run(
        [sys.executable, "-m", "cog_nix", "tea"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "earl grey\n"
    assert "the plugin spilt is not loaded: ModuleNotFoundError" in ran.stderr


class _Older:
    @hookimpl
    def describe_system(self) -> SystemFacts:
        return SystemFacts(("moss",), c_library="libfern")


def test_facts_that_a_plugin_does_not_tell_yet_are_those_of_the_next() -> None:
    loaded = _load(_EntryPoint("older", _Older))
    facts, built_in = loaded.describe_system(), _load().describe_system()
    assert (facts.tools, facts.c_library, facts.seed) == (("moss",), "libfern", None)
    assert facts.programs == built_in.programs
    assert loaded.describe_builder() == _load().describe_builder()
    assert loaded.describe_database() == _load().describe_database()


def test_an_image_cannot_be_explained_where_nobody_knows_system_packages() -> None:
    loaded = _load()
    loaded.manager.unregister(name="cog_nix_hooks.debian")
    with pytest.raises(PluginError, match="No plugin says how images tell of their system packages"):
        loaded.describe_database()


HOOKS = sorted(name for name, value in vars(Spec).items() if inspect.isfunction(value))


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_called_somewhere(hook: str) -> None:
    """A hook that nothing calls is a promise that nobody keeps."""
    sources = [path.read_text() for path in (ROOT / "cog_nix").rglob("*.py")]
    assert any(re.search(rf"\.{hook}[(,]", source) for source in sources)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_tested(hook: str) -> None:
    """A test implements it, or calls a built-in implementation."""
    tests = [path.read_text() for path in (ROOT / "tests").rglob("*.py")]
    assert any(f"def {hook}(" in test or f".{hook}(" in test for test in tests)
