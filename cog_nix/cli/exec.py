"""``cog-nix exec``: run a command in the image of this project, with the project mounted."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.flags import (
    BuildFlags,
    CogBase,
    ConfigFile,
    CudaBase,
    Dockerfile,
    Env,
    Gpus,
    Progress,
    variables,
)
from cog_nix.cli.runtimes import building_for, running_in, usable_runtime
from cog_nix.cli.terminal import reporter
from cog_nix.errors import CogNixError, RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.plugins.spec import ContainerRequest, Runtime

LOOPBACK = "127.0.0.1"
SERVER = "cog.server.http"
_LAST_PORT = 65535

_HELP = """Run a command in the environment that cog.yaml describes.

The project's folder is mounted at /src. stdin is passed on; on a terminal the command has a terminal as well.

\b
  cog-nix exec python                      a Python of the model's environment
  cog-nix exec python train.py --epochs 3  what follows the command is its own
  cog-nix exec -e HF_TOKEN -p 8888 jupyter notebook --ip 0.0.0.0
  cog-nix exec cat < in.txt > out.txt
"""

Words = Annotated[list[str], typer.Argument(metavar="COMMAND [ARG]...", show_default=False)]
Publish = Annotated[
    list[str] | None,
    typer.Option("--publish", "-p", help="Publish a port: 8000 (on loopback), or 0.0.0.0:8000."),
]


def register(app: typer.Typer) -> None:
    """Add ``exec`` to the command line."""
    app.command("exec", help=_HELP, context_settings={"allow_interspersed_args": False})(execute)


def execute(
    *,
    words: Words,
    publish: Publish = None,
    env: Env = None,
    gpus: Gpus = "",
    config_file: ConfigFile = "cog.yaml",
    progress: Progress = None,
    dockerfile: Dockerfile = None,
    use_cuda_base_image: CudaBase = None,
    use_cog_base_image: CogBase = None,
) -> None:
    """Run a command in the image of this project.

    Raises:
        RuntimeFailure: it does not start, or ends with another status than 0.
    """
    from cog_nix.cli.mounted import prepare  # noqa: PLC0415 - a faster --help

    BuildFlags(progress, dockerfile, use_cuda_base_image, use_cog_base_image).apply(exclusive=True)
    ports = tuple(map(parse_port, publish or ()))
    runtime = usable_runtime()
    reporter.info(building_for(runtime))
    mounted = prepare(config_file, runtime, needs_schema=False, cog_base=use_cog_base_image)
    reporter.info(f"{running_in(runtime, shlex.join(words))}\n")
    tty, size = sys.stdin.isatty() and sys.stdout.isatty(), shutil.get_terminal_size()
    request = mounted.request(
        tuple(words),
        env={**variables(env or ()), **_logs()},
        gpus=gpus or ("all" if mounted.has_gpu else None),
        publish=ports,
        interactive=True,
        stdin=True,
        tty=tty,
        size=(size.lines, size.columns) if tty else None,
    )
    if ports and runtime.shares_network:
        reporter.warn(
            f"{runtime.name} containers have this machine's network: -p publishes nothing, "
            "and a port is open wherever the command listens."
        )
    elif runtime.shares_network and in_a_shell(words):
        reporter.warn(
            f"{runtime.name} containers have this machine's network: a server that a shell starts "
            f"is open to other machines, unless --host {LOOPBACK} stands behind it."
        )
    status = _run(runtime, request)
    if status:
        raise RuntimeFailure(f"container exited with status {status}")


def in_a_shell(words: Sequence[str]) -> bool:
    """Whether a line for a shell starts Cog's server where nobody but that line can say where it listens."""
    return any(SERVER in word and word != SERVER and "--host" not in word for word in words)


def _run(runtime: Runtime, request: ContainerRequest) -> int:
    from cog_nix.cli.mounted import own_streams, passing_interrupts, raw_terminal, started  # noqa: PLC0415 - as above

    with started(runtime, request) as container:
        guard = raw_terminal(container) if request.tty else passing_interrupts(container)
        with guard:
            return container.attach(own_streams(stdin=True))


def _logs() -> dict[str, str]:
    rust_log = os.environ.get("RUST_LOG")
    return {"LOG_FORMAT": "console", **({"RUST_LOG": rust_log} if rust_log else {})}


def parse_port(text: str) -> tuple[str, int, int]:
    """Read ``8000``, ``0.0.0.0:8000``, ``::1:8000`` or ``[::1]:8000``.

    Returns:
        Host address, host port and container port.

    Raises:
        CogNixError: it is none of these.
    """
    if not text:
        raise _no_port(text, "value cannot be empty")
    host, port = LOOPBACK, text
    if text.startswith("["):
        host, closing, rest = text[1:].partition("]")
        if not closing:
            raise _no_port(text, "missing closing bracket for IPv6 address")
        if not rest:
            raise _no_port(text, "port is required after IPv6 address")
        if not rest.startswith(":"):
            raise _no_port(text, "expected ':' after ']'")
        port = rest[1:]
    elif ":" in text:
        host, _, port = text.rpartition(":")
    if not host:
        raise _no_port(text, "host cannot be empty")
    if not (port.isascii() and port.isdecimal()):
        raise _no_port(text, f'"{port}" is no number')
    if len(port) > len(str(_LAST_PORT)) or not 1 <= int(port) <= _LAST_PORT:
        raise _no_port(text, "port must be between 1 and 65535")
    return host, int(port), int(port)


def _no_port(text: str, why: str) -> CogNixError:
    return CogNixError(f'invalid port "{text}": {why}', hint="Write -p 8000 or -p 0.0.0.0:8000.")
