"""Commands of ``run:`` as upstream pastes them behind Dockerfile's ``RUN``, and what that text means.

Upstream writes ``RUN`` and the text of the command into a Dockerfile, so what Dockerfile allows in front of a
command works there: ``--mount=…``, ``--network=…``, ``--security=…`` (Dockerfile reference, "RUN"). The same
module runs inside Nix builds.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from cog_nix.errors import ConfigError, FlagError
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from cog_nix.config.model import Build, RunCommand

SHELL = ("/bin/sh", "-c")

_FLAG = re.compile(r"""--(?P<name>[a-z]+)=(?P<value>(?:"[^"]*"|'[^']*'|[^\s"'])*)(?:\s+|$)""")
_EMPTY_MOUNTS = ("cache", "tmpfs")
_SECRETS = PurePosixPath("/run/secrets")
_SECRET_MODE = 0o400
_HARMLESS = {"network": ("default", "host"), "security": ("sandbox",)}


@dataclass(frozen=True)
class Place:
    """What is there while one command runs, and neither before nor after."""

    kind: Literal["secret", "empty"]
    """A file with a secret, or an empty folder (a cache mount, a tmpfs)."""
    target: str
    """Absolute path; "" for a secret that is only a variable."""
    id: str = ""
    """Of the secret."""
    required: bool = False
    mode: int = _SECRET_MODE
    env: str = ""
    """Variable that holds the secret; "": none."""


@dataclass(frozen=True)
class Instruction:
    """One command, ready to run."""

    text: str
    """All of it, as it would stand behind ``RUN``."""
    command: str
    """Without what stands in front for the builder."""
    argv: tuple[str, ...]
    places: tuple[Place, ...] = ()

    @property
    def secrets(self) -> tuple[Place, ...]:
        """The places that are secrets."""
        return tuple(place for place in self.places if place.kind == "secret")


def texts(build: Build) -> tuple[str, ...]:
    """Return all commands in the order in which they run: ``pre_install`` comes last, as upstream has it."""
    return (*map(_text, build.run), *(command.strip() for command in build.pre_install))


def _text(run: RunCommand) -> str:
    flags = [
        f"--mount=type=secret,id={mount.id},target={mount.target}"
        for mount in run.mounts
        if mount.type == "secret"
    ]
    return " ".join([*flags, run.command.strip()])


def parse(text: str) -> Instruction:
    """Read a command.

    Args:
        text: as it would stand behind ``RUN``.

    Raises:
        ConfigError: it asks for what cog-nix cannot do, or what Dockerfile does not know.
    """
    rest = text.strip()
    if "\n" in rest:
        raise ConfigError(
            "One of the commands in 'run' contains a new line, which won't work. You need to create a new "
            "list item in YAML prefixed with '-' for each command.\n\n"
            f"This is the offending line: {rest}",
            hint='Write one item for each command, join them with " && ", or fold them with ">-" in YAML.',
        )
    places: list[Place] = []
    while rest.startswith("--") and (flag := _FLAG.match(rest)):
        places += _flag(flag["name"], flag["value"].replace('"', "").replace("'", ""))
        rest = rest[flag.end() :]
    return Instruction(text.strip(), rest, _argv(rest), tuple(places))


def _argv(command: str) -> tuple[str, ...]:
    """Return what is executed; a JSON list is program and arguments (Dockerfile reference, "Exec form")."""
    if command.startswith("["):
        try:
            given = jsonvalue.loads(command)
        except ValueError:
            given = None
        if given and isinstance(given, list) and all(isinstance(part, str) for part in given):
            return ("/usr/bin/env", "--", *given)
    return (*SHELL, command)


def _flag(name: str, value: str) -> list[Place]:
    if name == "mount":
        return [_mount(value)]
    flag = f"--{name}={value}"
    if name not in _HARMLESS:
        raise FlagError(flag, "unknown flag", hint="RUN knows --mount, --network and --security.")
    if value not in _HARMLESS[name]:
        problem = "cog-nix runs every command in the sandbox, with the network."
        raise FlagError(flag, problem, hint=f"Remove --{name}.")
    return []


def _mount(value: str) -> Place:
    """Read the value of ``--mount`` (BuildKit, Dockerfile reference, "RUN --mount")."""
    options: dict[str, str] = {}
    for part in next(csv.reader([value]), []):
        key, _, given = part.partition("=")
        options[key.lower()] = given
    kind = options.get("type", "bind")
    target = next((options[key] for key in ("target", "dst", "destination") if key in options), "")
    if kind in _EMPTY_MOUNTS and target:
        return Place("empty", str(PurePosixPath("/") / target))
    if kind == "secret":
        return _secret(value, options, target)
    raise FlagError(
        f"--mount={value}",
        "cog-nix knows mounts of the types secret, cache and tmpfs, each with a target.",
        hint="The project's files are not there while commands run; upstream copies them afterwards, too.\n"
        "Download or write what the command needs, or do this part in setup().",
    )


def _secret(value: str, options: dict[str, str], target: str) -> Place:
    given = options.get("source") or options.get("src") or options.get("id")
    name = given or PurePosixPath(target).name
    if not name:
        raise FlagError(f"--mount={value}", "a secret needs an id.", hint="--mount=type=secret,id=NAME")
    mode, required = options.get("mode", ""), options.get("required")
    if not target and "env" not in options:
        target = str(_SECRETS / name)
    return Place(
        "secret",
        str(PurePosixPath("/") / target) if target else "",
        id=name,
        required=required is not None and required.lower() in ("", "true", "1"),
        mode=int(mode, 8) if re.fullmatch("[0-7]{1,4}", mode) else _SECRET_MODE,
        env=options.get("env", ""),
    )
