"""Containers of this project's image with the project itself mounted over ``/src``: `serve` and `exec`."""

from __future__ import annotations

import os
import signal
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cog_nix.cli import interrupts
from cog_nix.errors import RuntimeFailure
from cog_nix.plugins.spec import ContainerRequest, InteractiveContainer, Streams
from cog_nix.runtime.session import start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.cli.building import LoadedImage
    from cog_nix.cli.session import Session
    from cog_nix.plugins.spec import Runtime

LOOPBACK = "127.0.0.1"
SOURCE = "/src"


def request_for(
    image: LoadedImage, command: tuple[str, ...], gpus: str, env: dict[str, str] | None = None, **more: Any
) -> ContainerRequest:
    """Return a request that runs a command in the project's folder, its streams connected.

    Args:
        image: of the project.
        command: what is run.
        gpus: as Docker's ``--gpus``; empty: all of them for a model that wants one.
        env: variables, besides those that say how logs are written.
        more: fields of :class:`cog_nix.plugins.spec.ContainerRequest`.
    """
    rust_log = os.environ.get("RUST_LOG")
    logs = {"LOG_FORMAT": "console", **({"RUST_LOG": rust_log} if rust_log else {})}
    return ContainerRequest(
        image.reference,
        command=command,
        env={**(env or {}), **logs},
        gpus=gpus or ("all" if image.has_gpu else None),
        mounts=((image.root, SOURCE),),
        workdir=SOURCE,
        interactive=True,
        **more,
    )


@contextmanager
def started(session: Session, runtime: Runtime, request: ContainerRequest) -> Iterator[InteractiveContainer]:
    """Start a container whose streams are connected; remove it afterwards.

    Raises:
        RuntimeFailure: it does not start, or the runtime has no connected streams.
    """
    with start(runtime, request, session.reporter) as container:
        if not isinstance(container, InteractiveContainer):
            raise RuntimeFailure(
                f"The runtime {runtime.name} cannot connect a container's streams.",
                hint="Choose another --runtime for this command.",
            )
        yield container


def check_status(status: int) -> None:
    """Raise where a container's command has failed.

    Raises:
        RuntimeFailure: its status is another one than 0.
    """
    if status:
        raise RuntimeFailure(f"container exited with status {status}")


def own_streams(*, stdin: bool) -> Streams:
    """Return this process's streams; what Python holds back of stdout is written first."""
    sys.stdout.flush()
    sys.stderr.flush()
    return Streams(sys.stdin.fileno() if stdin else None, sys.stdout.fileno(), sys.stderr.fileno())


@contextmanager
def raw_terminal(container: InteractiveContainer) -> Iterator[None]:
    """Hand every key to the container's terminal, Ctrl-C as well, and keep its size up to date."""
    descriptor = sys.stdin.fileno()

    def fit(*_: object) -> None:
        size = os.get_terminal_size(descriptor)
        container.resize(size.lines, size.columns)

    settings = termios.tcgetattr(descriptor)
    previous = signal.signal(signal.SIGWINCH, fit)
    try:
        fit()
        tty.setraw(descriptor, termios.TCSADRAIN)  # what was typed while the image was built stays
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, settings)
        signal.signal(signal.SIGWINCH, previous)


@contextmanager
def passing_interrupts(container: InteractiveContainer) -> Iterator[None]:
    """Pass the first Ctrl-C on to the command, which may want to end by itself; the second one ends it.

    Raises:
        KeyboardInterrupt: on the second, and at the end after the first.
    """
    seen: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        seen.append(number)
        if len(seen) > 1:
            interrupts.interrupt(number)
        container.signal("SIGINT")

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if seen:
        interrupts.interrupt(seen[0])
