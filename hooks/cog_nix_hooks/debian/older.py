"""Debian 11's Python, where the one that a project asks for cannot be had from anybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.plugins.spec import hookimpl

if TYPE_CHECKING:
    from collections.abc import Generator

    from cog_nix.plugins.spec import Context, InterpreterChoice


@hookimpl(wrapper=True)
def provide_interpreter(
    python_version: str, context: Context
) -> Generator[None, InterpreterChoice | None, InterpreterChoice | None]:
    """Offer what is left when everybody else failed, and say so."""
    try:
        return (yield)
    except LockError as error:
        from .interpreter import last_resort  # noqa: PLC0415 - only where all else failed

        found = last_resort(python_version, context)
        if found is None:
            raise
        reason = error.message.splitlines()[0]
        own = (
            f"Debian {found.suite} has a Python {found.minor} of its own: that and its base system are taken"
        )
        context.reporter.warn(
            f"{reason}\n{own}. Neither gets security updates any more; a mirror of the builds is better:"
            " [python] mirror in cog-nix.toml."
        )
        return found
