"""The plugin manager: built-in plugins, then whatever is installed under the entry point group ``cog_nix``.

A third-party plugin that cannot be loaded is named in a warning and left out; the command goes on without it.
``COG_NIX_PLUGINS`` switches third-party plugins: ``0`` loads none, a comma-separated list loads those only.
"""

from __future__ import annotations

import importlib
import inspect
import os
import traceback
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

import pluggy

from cog_nix.errors import CogNixError, PluginError
from cog_nix.plugins.spec import PROJECT_NAME, GpuLibraries, SeedFacts, Spec, SystemFacts, TriedRuntime
from cog_nix.plugins.unusable import NoRuntime
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cog_nix.config.model import Project, Settings
    from cog_nix.plugins.spec import (
        Context,
        PythonRequest,
        PythonResolution,
        Runtime,
        SystemDatabase,
        SystemRequest,
        SystemResolution,
    )
    from cog_nix.report import Reporter

P = ParamSpec("P")
T = TypeVar("T")

BUILT_IN = (
    "cog_nix_hooks.debian.older",  # wraps the others
    "cog_nix_hooks.debian",
    "cog_nix_hooks.standalone",
    "cog_nix_hooks.pypi",
    "cog_nix_hooks.nvidia",
    "cog_nix_hooks.docker",
    "cog_nix_hooks.bundle",
)
"""Modules of the built-in plugins, in the order in which they are asked."""

_ADDED = ("programs", "database", "builder")
"""Facts that plugins did not tell at first."""

AUTO = "auto"
"""Name that stands for whatever runtime is usable."""


def _first(
    hook: Callable[Concatenate[Spec, P], T | None],
) -> Callable[Concatenate[Plugins, P], T | None]:
    """Return the method for a hook that one plugin answers; None: nobody does."""
    return cast("Callable[Concatenate[Plugins, P], T | None]", _method(hook))


def _all(
    hook: Callable[Concatenate[Spec, P], T | None],
) -> Callable[Concatenate[Plugins, P], list[T]]:
    """Return the method for a hook that every plugin may answer."""
    return cast("Callable[Concatenate[Plugins, P], list[T]]", _method(hook))


def _tell(hook: Callable[Concatenate[Spec, P], None]) -> Callable[Concatenate[Plugins, P], None]:
    """Return the method for a hook that nobody answers."""
    return cast("Callable[Concatenate[Plugins, P], None]", _method(hook))


def _each(
    hook: Callable[Concatenate[Spec, P], Iterable[T] | None],
) -> Callable[Concatenate[Plugins, P], list[T]]:
    """Return the method for a hook that every plugin may answer with several things."""
    ask = _all(hook)

    def call(plugins: Plugins, /, *args: P.args, **kwargs: P.kwargs) -> list[T]:
        return [one for answer in ask(plugins, *args, **kwargs) for one in answer]

    return call


def _method(hook: Callable[..., object]) -> Callable[..., object]:
    """Return what calls a hook, and blames a plugin by name when it dies.

    Raises:
        CogNixError: when it is called: a plugin's own message to the user.
        PluginError: a plugin failed in another way.
    """
    name, (_, *parameters) = hook.__name__, inspect.signature(hook).parameters

    def call(plugins: Plugins, *args: object, **kwargs: object) -> object:
        caller = getattr(plugins.manager.hook, name)
        try:
            return caller(**dict(zip(parameters, args, strict=False)), **kwargs)
        except CogNixError:
            raise
        except Exception as error:
            owner = _owner(caller, error)
            if owner is None or owner in BUILT_IN:
                raise
            raise PluginError(
                f"The plugin {owner} failed in {name}: {type(error).__name__}: {error}",
                hint="Update or remove it, or run with COG_NIX_PLUGINS=0 to go on without third-party"
                " plugins.",
            ) from error

    return call


class NobodyAnsweredError(PluginError):
    """No plugin that is installed does what is asked for.

    Args:
        task: what, as the end of a sentence.
        hint: what to do next.
    """

    def __init__(self, task: str, *, hint: str = "") -> None:
        super().__init__(hint=hint or "Install a plugin that does, or unset COG_NIX_PLUGINS.")
        self.task = task

    def __str__(self) -> str:
        return f"No plugin {self.task}."


def _answer(found: T | None, task: str, *, hint: str = "") -> T:
    """Return what a plugin answered.

    Raises:
        NobodyAnsweredError: none did.
    """
    if found is None:
        raise NobodyAnsweredError(task, hint=hint)
    return found


@dataclass
class Plugins:
    """Loaded plugins and what went wrong loading others; a method for each hook, typed as the hook is."""

    manager: pluggy.PluginManager
    broken: dict[str, str] = field(default_factory=dict)
    """Reason by name of each plugin that was left out."""

    declare_settings = _each(Spec.declare_settings)
    download_credentials = _each(Spec.download_credentials)
    provide_interpreter = _first(Spec.provide_interpreter)
    _describe_system = _all(Spec.describe_system)
    _describe_gpu_libraries = _first(Spec.describe_gpu_libraries)
    _resolve_system_packages = _first(Spec.resolve_system_packages)
    _resolve_python_packages = _first(Spec.resolve_python_packages)
    find_python_libraries = _each(Spec.find_python_libraries)
    find_libraries = _first(Spec.find_libraries)
    find_programs = _first(Spec.find_programs)
    find_fixes = _first(Spec.find_fixes)
    provide_toolkit = _first(Spec.provide_toolkit)
    image_environment = _all(Spec.image_environment)
    image_labels = _all(Spec.image_labels)
    provide_programs = _first(Spec.provide_programs)
    describe_programs = _first(Spec.describe_programs)
    recall_programs = _first(Spec.recall_programs)
    origins_of = _all(Spec.origins_of)
    runtime_names = _each(Spec.runtime_names)
    provide_runtime = _first(Spec.provide_runtime)
    register_commands = _tell(Spec.register_commands)
    diagnose = _each(Spec.diagnose)
    before_command = _tell(Spec.before_command)
    instead_of_command = _first(Spec.instead_of_command)
    after_command = _tell(Spec.after_command)
    before_build = _tell(Spec.before_build)
    after_build = _tell(Spec.after_build)

    def implements(self, *hooks: str) -> bool:
        """Tell whether any plugin has something to do when one of these hooks is called."""
        return any(getattr(self.manager.hook, hook).get_hookimpls() for hook in hooks)

    def settings(self, project: Project | None = None) -> Settings:
        """Return a project's cog-nix.toml, with the tables that plugins declare.

        Args:
            project: None: there is none, and every setting has its default.

        Raises:
            ConfigError: it is not TOML, has an unknown key, or a value of the wrong kind.
        """
        from cog_nix.config.settings import defaults, load_settings  # noqa: PLC0415 - a quick run goes without

        declared = self.declare_settings()
        return load_settings(project, declared) if project else defaults(declared)

    def describe_system(self) -> SystemFacts:
        """Return what is known of the packages of base systems."""
        found = self._describe_system() or [SystemFacts()]
        later = {
            name: value
            for name in _ADDED
            if (value := next(filter(None, (getattr(one, name) for one in found)), None))
        }
        return replace(found[0], **later)

    def describe_database(self) -> SystemDatabase:
        """Return how images say which system packages they have.

        Raises:
            NobodyAnsweredError: no plugin says so.
        """
        return _answer(self.describe_system().database, "says how images tell of their system packages")

    def describe_seed(self) -> SeedFacts:
        """Return which packages the builders' Python is made of.

        Raises:
            NobodyAnsweredError: no plugin says so.
        """
        return _answer(self.describe_system().seed, "says which packages the builders' Python is made of")

    def describe_builder(self) -> SeedFacts:
        """Return which packages the image is made of that Nix runs in.

        Raises:
            NobodyAnsweredError: no plugin says so.
        """
        return _answer(self.describe_system().builder, "says which packages an image with Nix is made of")

    def describe_gpu_libraries(self) -> GpuLibraries:
        """Return how libraries of GPUs' makers are known."""
        return self._describe_gpu_libraries() or GpuLibraries()

    def resolve_system_packages(self, request: SystemRequest, context: Context) -> SystemResolution:
        """Resolve system packages.

        Raises:
            NobodyAnsweredError: no plugin knows the suite.
            LockError: a package cannot be found or satisfied.
        """
        return _answer(
            self._resolve_system_packages(request, context),
            f"resolves packages of the suite {request.suite}",
            hint="Correct the suite in cog-nix.toml, or install a plugin for it.",
        )

    def resolve_python_packages(self, request: PythonRequest, context: Context) -> PythonResolution:
        """Resolve Python packages.

        Raises:
            NobodyAnsweredError: no plugin does it.
            LockError: the requirements cannot be satisfied.
        """
        return _answer(self._resolve_python_packages(request, context), "resolves Python requirements")


def load(
    environment: Mapping[str, str] = os.environ, entry_points: Callable[[], Iterable[Any]] | None = None
) -> Plugins:
    """Load all plugins.

    Args:
        environment: where ``COG_NIX_PLUGINS`` is looked up.
        entry_points: returns the entry points of the group; for tests.

    Raises:
        PluginError: a built-in plugin implements a hook that does not exist (a bug).
    """
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(Spec)
    # pluggy asks the plugin registered last first: third parties are registered after the built-in ones,
    # and so asked before them.
    for name in reversed(BUILT_IN):
        manager.register(importlib.import_module(name), name=name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"A built-in plugin does not fit the hooks: {error}") from error
    plugins = Plugins(manager)
    choice = environment.get("COG_NIX_PLUGINS")
    for entry_point in [] if choice == "0" else _wanted(choice, entry_points or _installed, plugins):
        _register(plugins, entry_point)
    return plugins


def _installed() -> Iterable[Any]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - a faster start with COG_NIX_PLUGINS=0

    return entry_points(group=PROJECT_NAME)


def _wanted(choice: str | None, entry_points: Callable[[], Iterable[Any]], plugins: Plugins) -> list[Any]:
    found = sorted(entry_points(), key=lambda entry_point: str(entry_point.name))
    if choice is None:
        return found
    names = set(filter(None, map(str.strip, choice.split(","))))
    for name in names - {entry_point.name for entry_point in found}:
        plugins.broken[name] = "COG_NIX_PLUGINS names it, and it is not installed"
    return [entry_point for entry_point in found if entry_point.name in names]


def _register(plugins: Plugins, entry_point: Any) -> None:
    manager, name = plugins.manager, entry_point.name
    if manager.has_plugin(name):
        plugins.broken[name] = "another plugin has the same name"
        return
    try:
        manager.register(entry_point.load(), name=name)
        manager.check_pending()
    except Exception as error:  # noqa: BLE001 - whatever a plugin does wrong, the user's command must not die of it
        if manager.has_plugin(name):
            manager.unregister(name=name)
        plugins.broken[name] = f"{type(error).__name__}: {error}"


def _owner(caller: pluggy.HookCaller, error: BaseException) -> str | None:
    """Return the name of the plugin whose implementation of the hook is in the traceback."""
    running = {frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)}
    for implementation in caller.get_hookimpls():
        function = inspect.unwrap(implementation.function)
        if getattr(function, "__code__", None) in running:
            return implementation.plugin_name
    return None


def find_runtime(
    name: str = AUTO, plugins: Plugins | None = None, reporter: Reporter | None = None
) -> Runtime:
    """Return the runtime of this name.

    Args:
        name: ``auto`` takes the first one that is usable; where none is, one that says why of each.
        plugins: who is asked; None: all that are installed.
        reporter: hears of what has to be fetched before a runtime can be used; None: nobody does.

    Raises:
        NobodyAnsweredError: no plugin knows the name.
    """
    plugins = plugins or load()
    reporter = reporter or SilentReporter()
    names = plugins.runtime_names()
    wanted = names if name == AUTO else [name]
    reasons: dict[str, str] = {}
    for runtime in filter(None, (plugins.provide_runtime(one, reporter) for one in wanted)):
        if name != AUTO or (why := _why_not(runtime)) is None:
            return runtime
        reasons[runtime.name] = why
    if reasons:
        return NoRuntime(reasons)
    known = ", ".join([AUTO, *names])
    raise NobodyAnsweredError(f"provides a runtime named {name}", hint=f"Choose one of {known}.")


def _why_not(runtime: Runtime) -> str | None:
    """Return None when a runtime that nobody chose can be used, containers and all."""
    return runtime.available() or (runtime.why_no_containers() if isinstance(runtime, TriedRuntime) else None)
