"""The plugins that resolve: each question, and the error when nobody answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.plugins.manager import Plugins, ask

if TYPE_CHECKING:
    from cog_nix.config.model import Config, Project
    from cog_nix.lock.model import Interpreter
    from cog_nix.plugins.spec import (
        Context,
        InterpreterChoice,
        PythonRequest,
        PythonResolution,
        SystemRequest,
        SystemResolution,
    )


@dataclass(frozen=True)
class Resolvers:
    """Who is asked."""

    plugins: Plugins
    context: Context

    def interpreter(self, project: Project, config: Config, pinned: Interpreter | None) -> InterpreterChoice:
        """Choose the project's Python.

        Raises:
            LockError: nobody has it.
        """
        version = config.build.python_version
        choice: InterpreterChoice | None = ask(
            self.plugins, "provide_interpreter", python_version=version, pinned=pinned, context=self.context
        )
        if choice is None:
            raise LockError(
                f"{project.config_path.name} asks for Python {version}, which no plugin provides.",
                hint='Debian\'s own interpreters are available: set python_version to "3.13" or "3.11".',
            )
        return choice

    def system(self, request: SystemRequest) -> SystemResolution:
        """Resolve system packages.

        Raises:
            LockError: nobody knows the suite, or a package cannot be found or satisfied.
        """
        answer: SystemResolution | None = ask(
            self.plugins, "resolve_system_packages", request=request, context=self.context
        )
        if answer is None:
            raise LockError(f"No plugin resolves packages of the suite {request.suite}.")
        return answer

    def python(self, request: PythonRequest) -> PythonResolution:
        """Resolve Python packages.

        Raises:
            LockError: nobody does, or they cannot be found or satisfied.
        """
        answer: PythonResolution | None = ask(
            self.plugins, "resolve_python_packages", request=request, context=self.context
        )
        if answer is None:
            raise LockError("No plugin resolves Python packages.")
        return answer
