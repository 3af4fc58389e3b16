"""``--secret``: values for commands that ask for them, read where Docker's builder reads them."""

from __future__ import annotations

import csv
import ctypes
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.errors import ConfigError, FlagError
from cog_nix.system.processes import hide

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_PR_SET_DUMPABLE = 4  # linux/prctl.h
_LARGEST = 500 * 1024
"""As BuildKit has it."""
_FORM = "Write it as --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE."


class SecretError(ConfigError):
    """A value that commands ask for cannot be had.

    Args:
        name: its id.
        problem: what is wrong with it.
        hint: what to do next.
    """

    def __init__(self, name: str, problem: str, *, hint: str = _FORM) -> None:
        super().__init__(hint=hint)
        self.name, self.problem = name, problem

    def __str__(self) -> str:
        return f"secret {self.name}: {self.problem}"


@dataclass(frozen=True)
class Secret:
    """Where a value comes from."""

    id: str
    path: Path | None = None
    variable: str = ""

    def read(self, environment: Mapping[str, str]) -> bytes:
        """Return the value.

        Raises:
            SecretError: the file cannot be read, the variable is not set, or there is too much.
        """
        if self.variable:
            if self.variable not in environment:
                raise SecretError(self.id, f"the environment has no {self.variable}")
            value = os.fsencode(environment[self.variable])
        else:
            assert self.path is not None  # noqa: S101 - one of the two is always there
            try:
                with self.path.open("rb") as stream:
                    value = stream.read(_LARGEST + 1)
            except (OSError, ValueError) as error:
                raise self._unreadable(error) from error
        if len(value) > _LARGEST:
            raise SecretError(self.id, f"more than {_LARGEST} bytes", hint="Hand over a key, not data.")
        return value

    def require(self) -> None:
        """See that a file is there. It is not opened: a pipe can be read once, and a command may want it.

        Raises:
            SecretError: it is not.
        """
        try:
            if self.path is not None:
                self.path.stat()
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> SecretError:
        said = error.strerror if isinstance(error, OSError) else "no file can be called so"
        return SecretError(self.id, f"{self.path}: {said}")


def parse(given: Iterable[str], folder: Path, environment: Mapping[str, str]) -> dict[str, Secret]:
    """Read the values of ``--secret``; a later one of the same id replaces an earlier one.

    Args:
        given: ``id=x,src=path``, ``id=x,env=NAME`` or ``id=x``, a variable of that name or else a file.
        folder: where relative paths begin.
        environment: says which of the two ``id=x`` is.

    Raises:
        FlagError: one is not of these forms.
        SecretError: a file is not there, whether or not a command asks for it.
    """
    secrets = [_secret(text, folder, environment) for text in given]
    for secret in secrets:
        secret.require()
    return {secret.id: secret for secret in secrets}


def guard(secrets: Iterable[Secret]) -> None:
    """Keep other programs of this user from reading secrets here, or in what is started from here on.

    They could look into this process' memory, environment and pipes, as into any of their user's that does
    not refuse it (ptrace(2), "Ptrace access mode checking"); it writes no core either.
    """
    given = tuple(secrets)
    if given:
        hide(one.variable for one in given if one.variable)
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _secret(text: str, folder: Path, environment: Mapping[str, str]) -> Secret:
    fields = _fields(text)
    if fields.get("type", "file") not in ("file", "env"):
        raise _not_of_the_form(text, f"unsupported secret type {fields['type']!r}")
    name, path, variable = (fields.get(key, "") for key in ("id", "src", "env"))
    if not name:
        raise _not_of_the_form(text, "a secret needs an id.")
    if fields.get("type") == "env" and not variable:
        path, variable = "", path
    if not path and not variable:
        path, variable = ("", name) if name in environment else (name, "")
    return Secret(name, None if variable else folder / path, variable)


def _fields(text: str) -> dict[str, str]:
    found = {}
    try:
        parts = next(csv.reader([text]), [])
    except csv.Error as error:
        raise _not_of_the_form(text, f"invalid fields: {error}") from error
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise _not_of_the_form(text, f"invalid field {part!r} must be a key=value pair")
        known = {"source": "src"}.get(key.lower(), key.lower())
        if known not in ("id", "src", "env", "type"):
            raise _not_of_the_form(text, f"unexpected key '{key}' in '{part}'")
        found[known] = value
    return found


def _not_of_the_form(text: str, problem: str) -> FlagError:
    return FlagError("--secret", problem, text, hint=_FORM)
