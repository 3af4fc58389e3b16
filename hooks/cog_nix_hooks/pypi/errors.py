"""What goes wrong with requirements and packages: a :class:`~cog_nix.errors.LockError` for each kind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.fetch import urls
from cog_nix.system.processes import redact

if TYPE_CHECKING:
    from collections.abc import Iterable


class RequirementError(LockError):
    """A line of a requirements file cannot be used.

    Args:
        file: its name.
        line: as it is written; credentials in it are not shown.
        problem: what is wrong; follows the line.
        hint: what to do next.
    """

    def __init__(self, file: str, line: str, problem: str, *, hint: str) -> None:
        super().__init__(f"{file}: {redact(line)!r} {problem}", hint=hint)
        self.file, self.line = file, line


class PackageError(LockError):
    """Packages cannot be resolved.

    Args:
        message: what went wrong.
        hint: what to do next.
        package: normalised name of the one that it is about; "" where uv alone knows.
        said: uv's explanation, a statement each.
    """

    def __init__(self, message: str, *, hint: str, package: str = "", said: Iterable[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.package, self.said = package, tuple(said)

    def is_about(self, package: str) -> bool:
        """Return whether a package has to do with it."""
        return package == self.package or any(re.search(rf"\b{package}\b", line) for line in self.said)


class LockFileError(LockError):
    """A project's own file with requirements, or what uv wrote, cannot be read."""

    def __init__(self, file: str, reason: object, *, hint: str) -> None:
        super().__init__(f"{file} cannot be read: {reason}", hint=hint)
        self.file = file


class MissingExtraError(LockError):
    """A ``pyproject.toml`` lacks an extra or a group that cog-nix.toml names."""

    def __init__(self, file: str, kind: str, name: str, *, hint: str) -> None:
        what = f"{kind} {name!r}, which [python] {kind}s in cog-nix.toml names"
        super().__init__(f"{file} has no {what}", hint=hint)
        self.file, self.name = file, name


class SourceError(PackageError):
    """The source of a package cannot be used.

    Args:
        source: file name of the archive.
        problem: what is wrong; follows the name.
        hint: what to do next.
    """

    def __init__(self, source: str, problem: str, *, hint: str) -> None:
        super().__init__(f"{source} {problem}", hint=hint)
        self.source = source


class PackageIndexError(PackageError):
    """An index of packages refuses, or cannot be reached.

    Args:
        url: what was asked for; credentials in it are not shown.
        problem: what happened.
        hint: what to do next.
    """

    def __init__(self, url: str, problem: str, *, hint: str) -> None:
        super().__init__(f"{problem}\n  {urls.shown(url)}", hint=hint, said=[problem])
        self.url = url


def cause_of(error: LockError) -> str:
    """Return why, on one line: uv's last statement is the first cause."""
    said = error.said if isinstance(error, PackageError) else ()
    return said[-1].strip() if said else error.message.partition("\n")[0]
