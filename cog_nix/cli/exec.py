"""``cog-nix exec``: run a command in the image of this project, with the project mounted."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.building import build_and_load
from cog_nix.cli.options import BuildOptions, Dockerfile, Env, Gpus, variables
from cog_nix.cli.project_container import (
    LOOPBACK,
    check_status,
    own_streams,
    passing_interrupts,
    raw_terminal,
    request_for,
    started,
)
from cog_nix.cli.runtimes import building_for, running_in, usable_runtime
from cog_nix.errors import CogNixError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.cli.session import Session

_SERVER = "cog.server.http"
_LAST_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class _Options(BuildOptions):
    words: Annotated[list[str], typer.Argument(metavar="COMMAND [ARG]...", show_default=False)]
    publish: Annotated[
        list[str] | None,
        typer.Option("--publish", "-p", help="Publish a port: 8000 (on loopback), or 0.0.0.0:8000."),
    ] = None
    env: Env = None
    gpus: Gpus = ""
    dockerfile: Dockerfile = None


def execute(session: Session, options: _Options) -> None:
    """Run a command in the image of this project.

    Raises:
        RuntimeFailure: it does not start, or ends with another status than 0.
    """
    words, reporter = options.words, session.reporter
    options.refuse_two_bases()
    options.apply(session)
    ports = tuple(map(parse_port, options.publish or ()))
    runtime = usable_runtime(session)
    reporter.info(building_for(runtime))
    image = build_and_load(
        session,
        options.config_file,
        runtime,
        cog_base=options.use_cog_base_image,
        needs_schema=False,
        platform=options.platform,
    )
    reporter.info(f"{running_in(runtime, shlex.join(words))}\n")
    tty, size = sys.stdin.isatty() and sys.stdout.isatty(), shutil.get_terminal_size()
    if runtime.shares_network:
        _warn_of_open_ports(session, runtime.name, words, publishes=bool(ports))
    with image.mounted(in_project=True) as weights:
        request = request_for(
            image,
            tuple(words),
            options.gpus,
            variables(options.env or ()),
            publish=ports,
            stdin=True,
            tty=tty,
            size=(size.lines, size.columns) if tty else None,
            read_only=weights,
        )
        with (
            started(session, runtime, request) as container,
            raw_terminal(container) if tty else passing_interrupts(container),
        ):
            status = container.attach(own_streams(stdin=True))
    check_status(status)


def _warn_of_open_ports(session: Session, runtime: str, words: Sequence[str], *, publishes: bool) -> None:
    """Warn where a container has this machine's network, and so a port of it may be open to others."""
    if publishes:
        session.reporter.warn(
            f"{runtime} containers have this machine's network: -p publishes nothing, "
            "and a port is open wherever the command listens."
        )
    elif in_a_shell(words):
        session.reporter.warn(
            f"{runtime} containers have this machine's network: a server that a shell starts "
            f"is open to other machines, unless --host {LOOPBACK} comes after it."
        )


def in_a_shell(words: Sequence[str]) -> bool:
    """Whether a line for a shell starts Cog's server where nobody but that line can say where it listens."""
    return any(_SERVER in word and word != _SERVER and "--host" not in word for word in words)


def parse_port(text: str) -> tuple[str, int, int]:
    """Read ``8000``, ``0.0.0.0:8000``, ``::1:8000`` or ``[::1]:8000``.

    Returns:
        Host address, host port and container port.

    Raises:
        CogNixError: it is none of these.
    """
    if not text:
        raise _invalid_port(text, "value cannot be empty")
    host, port = LOOPBACK, text
    if text.startswith("["):
        host, closing, rest = text[1:].partition("]")
        if not closing:
            raise _invalid_port(text, "missing closing bracket for IPv6 address")
        if not rest:
            raise _invalid_port(text, "port is required after IPv6 address")
        if not rest.startswith(":"):
            raise _invalid_port(text, "expected ':' after ']'")
        port = rest[1:]
    elif ":" in text:
        host, _, port = text.rpartition(":")
    if not host:
        raise _invalid_port(text, "host cannot be empty")
    if not (port.isascii() and port.isdecimal()):
        raise _invalid_port(text, f'"{port}" is not a number')
    if len(port) > len(str(_LAST_PORT)) or not 1 <= int(port) <= _LAST_PORT:
        raise _invalid_port(text, "port must be between 1 and 65535")
    return host, int(port), int(port)


def _invalid_port(text: str, why: str) -> CogNixError:
    return CogNixError(f'invalid port "{text}": {why}', hint="Write -p 8000 or -p 0.0.0.0:8000.")
