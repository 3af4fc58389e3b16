"""The programs that this runtime starts: the machine's, and where it lacks one, what cog-nix brings."""

from __future__ import annotations

import os
import shutil
from functools import cached_property
from typing import TYPE_CHECKING

from cog_nix.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENGINES = ("crun", "runc", "bwrap")
"""Best first: crun starts in 10 ms, runc in 40, and bubblewrap knows no OCI bundles."""

_ADMIN_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian puts runc; a plain user's PATH is without it."""


def program(name: str) -> str | None:
    """Return the path of a program of the machine, or None."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_ADMIN_PATH}")


class Programs:
    """Where programs are.

    Args:
        bring: returns a folder of programs that work here, which it may have to fetch; None: nobody has one.
    """

    def __init__(self, bring: Callable[[], Path | None] | None = None) -> None:
        self._bring = bring

    @cached_property
    def provided(self) -> Path | None:
        """The folder of what cog-nix brings, or None."""
        return self._bring() if self._bring else None

    def path(self, name: str) -> str:
        """Return the path of a program.

        Raises:
            RuntimeFailure: it is not here, and is not provided.
            CogNixError: it cannot be fetched.
        """
        if found := program(name):
            return found
        if self.provided and (self.provided / name).exists():
            return str(self.provided / name)
        raise RuntimeFailure(f"{name} is not installed.", hint=f"Install {name} or put it on the PATH.")
