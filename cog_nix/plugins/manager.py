"""The plugin manager: built-in plugins, then whatever is installed under the entry point group ``cog_nix``.

A third-party plugin that cannot be loaded is named in a warning and left out; the command goes on without it.
``COG_NIX_PLUGINS`` switches third-party plugins: ``0`` loads none, a comma-separated list loads those only.
"""

from __future__ import annotations

import importlib
import inspect
import os
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

import pluggy

from cog_nix.errors import CogNixError, LockError, PluginError
from cog_nix.plugins.spec import (
    PROJECT_NAME,
    GpuLibraries,
    LibraryResolution,
    Spec,
    SystemFacts,
    TriedRuntime,
)
from cog_nix.plugins.unusable import NoRuntime
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Literal

    import typer

    from cog_nix.config.model import Config, Project
    from cog_nix.lock.model import Interpreter, Lock
    from cog_nix.plugins.spec import (
        Context,
        Finding,
        FoundRequirement,
        InterpreterChoice,
        Invocation,
        LibraryRequest,
        ProgramRequest,
        PythonLibraryRequest,
        PythonRequest,
        PythonResolution,
        Runtime,
        SystemRequest,
        SystemResolution,
        ToolkitChoice,
        ToolkitRequest,
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

AUTO = "auto"
"""Name that stands for whatever runtime is usable."""


@dataclass
class Plugins:
    """Loaded plugins and what went wrong loading others; a method for each hook, which says what it is for.

    Where nobody has to answer, the first plugin that does counts, or all of them do.

    Raises:
        CogNixError: from each of them, a plugin's own message to the user.
        PluginError: a plugin failed in another way.
    """

    manager: pluggy.PluginManager
    broken: dict[str, str] = field(default_factory=dict)
    """Reason by name of each plugin that was left out."""

    def implements(self, *hooks: str) -> bool:
        """Tell whether any plugin has something to do when one of these hooks is called."""
        return any(getattr(self.manager.hook, hook).get_hookimpls() for hook in hooks)

    def download_credentials(self, requirements: Sequence[str]) -> list[str]:
        """Return URLs with user and password."""
        return _flat(self._all(Spec.download_credentials, requirements=requirements))

    def provide_interpreter(
        self, python_version: str, pinned: Interpreter | None, context: Context
    ) -> InterpreterChoice | None:
        """Choose an interpreter; None: nobody has it."""
        return self._first(
            Spec.provide_interpreter, python_version=python_version, pinned=pinned, context=context
        )

    def describe_system(self) -> SystemFacts:
        """Return what is known of the packages of base systems."""
        return self._first(Spec.describe_system) or SystemFacts()

    def describe_gpu_libraries(self) -> GpuLibraries:
        """Return how libraries of GPUs' makers are known."""
        return self._first(Spec.describe_gpu_libraries) or GpuLibraries()

    def resolve_system_packages(self, request: SystemRequest, context: Context) -> SystemResolution:
        """Resolve system packages.

        Raises:
            LockError: nobody knows the suite, or a package cannot be found or satisfied.
        """
        found = self._first(Spec.resolve_system_packages, request=request, context=context)
        if found is None:
            raise LockError(f"No plugin resolves packages of the suite {request.suite}.")
        return found

    def resolve_python_packages(self, request: PythonRequest, context: Context) -> PythonResolution:
        """Resolve Python packages.

        Raises:
            LockError: nobody does it, or the requirements cannot be satisfied.
        """
        found = self._first(Spec.resolve_python_packages, request=request, context=context)
        if found is None:
            raise LockError("No plugin resolves Python requirements.")
        return found

    def find_python_libraries(
        self, request: PythonLibraryRequest, context: Context
    ) -> list[FoundRequirement]:
        """Return requirements for libraries that nothing has, of the first plugin first."""
        return _flat(self._all(Spec.find_python_libraries, request=request, context=context))

    def find_libraries(self, request: LibraryRequest, context: Context) -> LibraryResolution:
        """Return system packages for libraries that nothing has."""
        found = self._first(Spec.find_libraries, request=request, context=context)
        return found or LibraryResolution((), ())

    def find_programs(self, request: ProgramRequest, context: Context) -> Mapping[str, str]:
        """Return system packages for programs that nothing has, by program."""
        return self._first(Spec.find_programs, request=request, context=context) or {}

    def provide_toolkit(self, request: ToolkitRequest, context: Context) -> ToolkitChoice | None:
        """Choose a compiler for GPUs; None: no build needs one."""
        return self._first(Spec.provide_toolkit, request=request, context=context)

    def image_environment(self, config: Config, lock: Lock) -> list[Mapping[str, str]]:
        """Return the variables that each plugin adds to an image."""
        return self._all(Spec.image_environment, config=config, lock=lock)

    def image_labels(self, config: Config, lock: Lock) -> list[Mapping[str, str]]:
        """Return the labels that each plugin adds to an image."""
        return self._all(Spec.image_labels, config=config, lock=lock)

    def provide_programs(self, name: Literal["nix", "container"], context: Context) -> Path | None:
        """Return a folder of programs; None: nobody brings them."""
        return self._first(Spec.provide_programs, name=name, context=context)

    def runtime_names(self) -> list[str]:
        """Return the names of all runtimes, in the order in which they are looked for."""
        return _flat(self._all(Spec.runtime_names))

    def provide_runtime(self, name: str, reporter: Reporter) -> Runtime | None:
        """Return the runtime of a name; None: nobody has it."""
        return self._first(Spec.provide_runtime, name=name, reporter=reporter)

    def register_commands(self, app: typer.Typer) -> None:
        """Let plugins add subcommands."""
        self._all(Spec.register_commands, app=app)

    def diagnose(self, context: Context) -> list[Finding]:
        """Return what plugins find out about this machine."""
        return _flat(self._all(Spec.diagnose, context=context))

    def before_command(self, invocation: Invocation) -> None:
        """Tell plugins of a command that is to be run."""
        self._all(Spec.before_command, invocation=invocation)

    def instead_of_command(self, invocation: Invocation) -> int | None:
        """Return the exit status of a plugin that did what the command would; None: none did."""
        return self._first(Spec.instead_of_command, invocation=invocation)

    def after_command(self, invocation: Invocation, status: int) -> None:
        """Tell plugins of a command that ended."""
        self._all(Spec.after_command, invocation=invocation, status=status)

    def before_build(self, project: Project, config: Config) -> None:
        """Tell plugins of a project that is to be built."""
        self._all(Spec.before_build, project=project, config=config)

    def after_build(
        self, project: Project, config: Config | None, image: Path, details: Mapping[str, Any]
    ) -> None:
        """Tell plugins of an image; without a configuration where none of them hears of it."""
        if config:
            self._all(Spec.after_build, project=project, config=config, image=image, details=details)

    def _first(
        self, hook: Callable[Concatenate[Spec, P], T | None], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Call a hook that one plugin answers."""
        return cast("T | None", self._call(hook.__name__, *args, **kwargs))

    def _all(
        self, hook: Callable[Concatenate[Spec, P], T | None], *args: P.args, **kwargs: P.kwargs
    ) -> list[T]:
        """Call a hook that every plugin may answer; what answers nothing is left out."""
        return cast("list[T]", self._call(hook.__name__, *args, **kwargs))

    def _call(self, hook: str, **arguments: object) -> object:
        """Call a hook; blame a plugin by name when it dies."""
        caller = getattr(self.manager.hook, hook)
        try:
            return caller(**arguments)
        except CogNixError:
            raise
        except Exception as error:
            owner = _owner(caller, error)
            if owner is None or owner in BUILT_IN:
                raise
            raise PluginError(
                f"The plugin {owner} failed in {hook}: {type(error).__name__}: {error}",
                hint="Update or remove it, or run with COG_NIX_PLUGINS=0 to go on without third-party plugins.",
            ) from error


def _flat(answers: Iterable[Iterable[T]]) -> list[T]:
    return [one for answer in answers for one in answer]


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
        PluginError: no plugin knows the name.
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
    raise PluginError(f"No plugin provides a runtime named {name}.", hint=f"Choose one of {known}.")


def _why_not(runtime: Runtime) -> str | None:
    """Return None when a runtime that nobody chose can be used, containers and all."""
    return runtime.available() or (runtime.why_no_containers() if isinstance(runtime, TriedRuntime) else None)
