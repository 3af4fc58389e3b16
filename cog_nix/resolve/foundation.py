"""What is asked for, resolved in one suite: the interpreter, the system and the project's Python packages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cog_nix.config.environment import TRACING_REQUIREMENTS
from cog_nix.config.legacy import sdk_for
from cog_nix.errors import FetchError, LockError
from cog_nix.lock.model import Interpreter
from cog_nix.plugins.spec import PythonRequest, SystemRequest, ToolkitRequest
from cog_nix.report import SilentReporter
from cog_nix.resolve import bundled, cog_base, sdk

if TYPE_CHECKING:
    from cog_nix.plugins.spec import (
        InterpreterChoice,
        PythonResolution,
        SystemResolution,
        ToolkitChoice,
    )
    from cog_nix.resolve.request import Request, Tools


@dataclass(frozen=True)
class Foundation:
    """What is asked for."""

    request: Request
    tools: Tools
    """Both for the suite that it is resolved in."""
    choice: InterpreterChoice
    interpreter: Interpreter
    system_request: SystemRequest
    system: SystemResolution
    """In the groups ``base``, ``python`` and ``system``."""
    python_request: PythonRequest
    python: PythonResolution
    toolkit: ToolkitChoice | None
    """The compiler for GPUs that builds need."""

    @property
    def suite(self) -> str:
        """The suite that everything is resolved in."""
        return self.system_request.suite


def lay_foundation(request: Request, tools: Tools) -> Foundation:
    """Resolve what is asked for, in the suite that builds need.

    Raises:
        LockError: something cannot be found or satisfied.
    """
    while True:
        within = tools.within(request.settings)
        found = _in_one_suite(request, within, _interpreter_choice(request, within))
        toolkit = found.toolkit
        if toolkit is None or toolkit.suite in {"", found.suite}:
            return found
        tools.reporter.info(toolkit.because)
        request = request.in_suite(toolkit.suite)


def _in_one_suite(request: Request, tools: Tools, choice: InterpreterChoice) -> Foundation:
    asked = system_request(request, tools, choice)
    distribution = tools.plugins.describe_system().name
    tools.reporter.step(f"Resolving system packages in {distribution} {asked.suite}")
    system = tools.plugins.resolve_system_packages(asked, tools.context)
    interpreter = Interpreter(
        kind=choice.kind,
        version=choice.version or version_of(choice.version_of, system),
        executable=choice.executable,
        artifact=choice.artifact,
    )
    tools.reporter.step(f"Resolving Python packages for Python {interpreter.version}")
    python_request = _python_request(request, tools, interpreter.version, system)
    python = tools.plugins.resolve_python_packages(python_request, tools.context)
    toolkit_request = ToolkitRequest(request.config, asked.suite, python.wheels)
    return Foundation(
        request=request,
        tools=tools,
        choice=choice,
        interpreter=interpreter,
        system_request=asked,
        system=system,
        python_request=python_request,
        python=python,
        toolkit=tools.plugins.provide_toolkit(toolkit_request, tools.context),
    )


def _interpreter_choice(request: Request, tools: Tools) -> InterpreterChoice:
    """Choose the project's Python.

    Raises:
        LockError: nobody has it.
    """
    version = request.config.build.python_version
    try:
        choice = _offer(request, tools)
    except LockError as error:
        if isinstance(error.__cause__, FetchError):
            error.hint = f"{error.hint}\n{_advice(request, tools)}".strip()
        raise
    if choice is None:
        raise LockError(
            f"{request.project.config_path.name} asks for Python {version}, which no plugin provides.",
            hint=_advice(request, tools),
        )
    return choice


def _offer(request: Request, tools: Tools) -> InterpreterChoice | None:
    version = request.config.build.python_version
    return tools.plugins.provide_interpreter(version, request.pins.interpreter, tools.context)


def _advice(request: Request, tools: Tools) -> str:
    """Return which of the system's own Pythons would do instead: those that all of the rest goes with."""
    asked = request.config.build.python_version
    facts = tools.plugins.describe_system()
    # Who asks for a Python that Cog has given up takes another such one.
    pythons = [
        one
        for one in facts.pythons
        if not f"{asked}.".startswith(f"{one}.") and (sdk_for(asked) or not sdk_for(one))
    ]
    if not pythons:
        return ""
    fitting = [version for version in pythons if _would_do(version, request, tools)]
    if not fitting:
        others = " or ".join(pythons)
        return f"With {facts.name}'s own Python {others} the rest of it cannot be locked here either."
    written = " or ".join(f'"{version}"' for version in fitting)
    own = f"{facts.name} has a Python of its own that goes with all that is asked for"
    return f"{own[:1].upper()}{own[1:]}: python_version: {written}."


def _would_do(version: str, request: Request, tools: Tools) -> bool:
    """Tell whether everything can be had with another Python, by resolving it."""
    tools.reporter.step(f"Looking whether Python {version} would do")
    build = replace(request.config.build, python_version=version)
    other = replace(request, config=replace(request.config, build=build))
    quiet = replace(tools, context=replace(tools.context, reporter=SilentReporter()))
    try:
        choice = _offer(other, quiet)
        return choice is not None and bool(_in_one_suite(other, quiet, choice))
    except (LockError, FetchError):
        return False


def system_request(request: Request, tools: Tools, choice: InterpreterChoice) -> SystemRequest:
    """Return the question for the base system, the interpreter and the packages that are asked for."""
    build = request.config.build
    python = (*choice.packages, *(choice.wheel_libraries if build.requirements else ()))
    return SystemRequest(
        suite=request.settings.system.suite or choice.suite,
        groups=(
            ("base", ()),
            ("python", python),
            ("system", tuple(dict.fromkeys((*build.system_packages, *request.base_image)))),
        ),
        pins=request.pins.debs,
        asked_in={**dict.fromkeys(request.base_image, cog_base.PLACE), **tools.asked_in},
    )


def _python_request(request: Request, tools: Tools, version: str, system: SystemResolution) -> PythonRequest:
    pins, config = request.pins, request.config
    glibc = version_of(tools.plugins.describe_system().c_library, system)
    return PythonRequest(
        python_version=version,
        requirements=(
            *sdk.requirements(
                config.build, request.root, tools.reporter.warn, platform=request.project.platform
            ),
            *(TRACING_REQUIREMENTS if config.tracing else ()),
            *bundled.requirements(version),
        ),
        glibc=".".join(glibc.split(".")[:2]),
        project_root=request.root,
        pins={**bundled.preferences(version), **pins.wheels},
        build_pins=pins.builds,
        commits=pins.commits,
        gpu=config.build.gpu,
        cuda=config.build.cuda_named,
        reasons=pins.reasons,
        asked_in=config.build.python_requirements or request.project.config_path.name,
        places=tools.python_asked_in,
    )


def version_of(package: str, system: SystemResolution) -> str:
    """Return a package's upstream version.

    Raises:
        LockError: it is not there.
    """
    if package not in system.versions:
        raise LockError(f"The suite's base system has no {package}.")
    return system.versions[package]
