"""What every command is given: the plugins, the reporter, and which runtime holds and runs images.

It travels in typer's context (``ctx.obj``), where commands of plugins find it as well.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cog_nix.cli.terminal import TerminalReporter
from cog_nix.errors import CogNixError
from cog_nix.plugins import manager
from cog_nix.plugins.spec import RememberedRuntime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.plugins.spec import Held, Runtime


_HEARD = ("before_command", "instead_of_command", "after_command", "before_build", "after_build")
"""Hooks that are called around a build."""


@dataclass(frozen=True)
class Session:
    """One run of the program."""

    plugins: manager.Plugins
    reporter: TerminalReporter = field(default_factory=TerminalReporter)
    runtime_name: str = manager.AUTO
    """As ``--runtime`` or ``COG_NIX_RUNTIME`` has it."""
    program: str = "cog-nix"
    """How it was called."""
    fast_path_key: str = ""
    """Name under which :mod:`cog_nix.cli.fast_path` keeps what this command line did; empty: it does not."""
    without_effect: set[str] = field(default_factory=set)
    """Flags of which the user was told that they change nothing."""

    @property
    def is_heard(self) -> bool:
        """Whether a plugin wants to hear of the next command or build, which then needs to be one."""
        return self.plugins.implements(*_HEARD)

    def find_runtime(self) -> Runtime:
        """Return the runtime that this command would use, usable or not.

        Raises:
            PluginError: nobody knows its name.
        """
        return manager.find_runtime(self.runtime_name, self.plugins, self.reporter)

    def import_runtime(self) -> None:
        """Import the runtime that is looked for first; ask it nothing."""
        with suppress(CogNixError):  # told by whoever needs it
            name = self._first_choice()
            self.plugins.provide_runtime(name, self.reporter)

    def load(self, runtime: Runtime, image: Path, reference: str) -> Callable[[], Held | None]:
        """Give an image to a runtime.

        Returns:
            What tells where to ask for it the next time, when the runtime would be this one again.
        """
        loaded = runtime.load(image, [reference], self.reporter)

        def held() -> Held | None:
            found = self.held(runtime, reference)
            return found if found and found.id == loaded else None

        return held

    def held(self, runtime: Runtime, reference: str) -> Held | None:
        """Return where to ask for an image the next time, when the runtime would be this one again."""
        again = self.runtime_name != manager.AUTO or runtime.name == self._first_choice()
        return runtime.held(reference) if again and isinstance(runtime, RememberedRuntime) else None

    def _first_choice(self) -> str:
        if self.runtime_name != manager.AUTO:
            return self.runtime_name
        return next(iter(self.plugins.runtime_names()), "")
