"""What ends a build with one line that says why; all else that is raised is a bug and keeps its traceback.

::

    BuildError
    ├── CommandError                a program inside ended with a status
    ├── foreign.ForeignFileError    a file that somebody else packed is not what it should be
    └── confinement.NamespaceError  the kernel does not let builds close programs in
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "cog-nix: "
"""What the line begins with (cog_nix/store/failures.py looks for it in the log)."""


class BuildError(Exception):
    """Something that is not as it has to be; the text says what."""


class CommandError(BuildError):
    """A program ended with a status other than 0.

    Args:
        command: what people call it.
        status: its exit status.
    """

    def __init__(self, command: str, status: int) -> None:
        super().__init__(command, status)
        self.command, self.status = command, status

    def __str__(self) -> str:
        """Write the sentence."""
        return f"{self.command} ended with status {self.status}"


@contextmanager
def shown() -> Iterator[None]:
    """Let a build that cannot go on end with its line and status 1."""
    try:
        yield
    except BuildError as error:
        sys.exit(f"{MARK}{error}")
