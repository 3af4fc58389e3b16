"""``--secret``: values for commands that ask for them, read where Docker's builder reads them."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LARGEST = 500 * 1024
"""As BuildKit has it."""
_FORM = "Write it as --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE."


@dataclass(frozen=True)
class Secret:
    """Where a value comes from."""

    id: str
    path: Path | None = None
    variable: str = ""

    def read(self, environment: Mapping[str, str]) -> bytes:
        """Return the value.

        Raises:
            ConfigError: the file cannot be read, the variable is not set, or there is too much.
        """
        if self.variable:
            if self.variable not in environment:
                raise ConfigError(f"secret {self.id}: the environment has no {self.variable}", hint=_FORM)
            value = os.fsencode(environment[self.variable])
        else:
            assert self.path is not None  # noqa: S101 - one of the two is always there
            try:
                value = self.path.read_bytes()
            except OSError as error:
                raise ConfigError(f"secret {self.id}: {self.path}: {error.strerror}", hint=_FORM) from error
        if len(value) > _LARGEST:
            raise ConfigError(
                f"secret {self.id}: more than {_LARGEST} bytes", hint="Hand over a key, not data."
            )
        return value


def parse(given: Iterable[str], folder: Path, environment: Mapping[str, str]) -> dict[str, Secret]:
    """Read the values of ``--secret``; a later one of the same id replaces an earlier one.

    Args:
        given: ``id=x,src=path``, ``id=x,env=NAME`` or ``id=x``, which is a variable of that name or else a file.
        folder: where relative paths begin.
        environment: says which of the two ``id=x`` is.

    Raises:
        ConfigError: one is not of these forms.
    """
    secrets = (_secret(text, folder, environment) for text in given)
    return {secret.id: secret for secret in secrets}


def _secret(text: str, folder: Path, environment: Mapping[str, str]) -> Secret:
    kind, name, path, variable = "", "", "", ""
    for part in next(csv.reader([text]), []):
        key, equals, value = part.partition("=")
        if not equals:
            raise ConfigError(f"--secret {text}: invalid field {part!r} must be a key=value pair", hint=_FORM)
        match key.lower():
            case "type" if value in ("file", "env"):
                kind = value
            case "type":
                raise ConfigError(f"--secret {text}: unsupported secret type {value!r}", hint=_FORM)
            case "id":
                name = value
            case "src" | "source":
                path = value
            case "env":
                variable = value
            case _:
                raise ConfigError(f"--secret {text}: unexpected key '{key}' in '{part}'", hint=_FORM)
    if not name:
        raise ConfigError(f"--secret {text}: a secret needs an id.", hint=_FORM)
    if kind == "env" and not variable:
        path, variable = "", path
    if not path and not variable:
        path, variable = ("", name) if name in environment else (name, "")
    return Secret(name, None if variable else folder / path, variable)
