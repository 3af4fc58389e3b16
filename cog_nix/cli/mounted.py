"""The image of this project with the project itself mounted over ``/src``, for ``serve`` and ``exec``.

The mount hides what the image has in ``/src``, so the OpenAPI document that Cog's server looks for goes into
the project's ``.cog`` folder, as upstream leaves it there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import termios
import tty
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.cli import interrupts
from cog_nix.cli.terminal import reporter
from cog_nix.errors import RuntimeFailure, SignatureError
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.build.story import BuildOptions, Built
    from cog_nix.plugins.spec import ContainerRequest, InteractiveContainer, Runtime, Streams

SOURCE = "/src"
_EMPTY = {"openapi": "3.0.2", "info": {"title": "Cog", "version": "0.1.0"}, "paths": {}}


@dataclass(frozen=True)
class Mounted:
    """A loaded image and the project that is mounted over its source."""

    reference: str
    root: Path
    has_gpu: bool

    def request(self, command: tuple[str, ...], **more: Any) -> ContainerRequest:
        """Return a request that runs a command in the project's folder."""
        from cog_nix.plugins.spec import ContainerRequest  # noqa: PLC0415 - a faster --help

        mounts = ((self.root, SOURCE),)
        return ContainerRequest(self.reference, command=command, mounts=mounts, workdir=SOURCE, **more)


def prepare(
    config_file: str, runtime: Runtime, *, needs_schema: bool = True, cog_base: bool | None = None
) -> Mounted:
    """Build and load the image of the project here.

    Args:
        config_file: its name.
        runtime: what loads it.
        needs_schema: whether a predictor that cannot be described is an error; a command that only wants the
            environment runs without.
        cog_base: whether the packages of Cog's base image come; None: not said.

    Raises:
        CogNixError: it cannot be built or loaded.
    """
    from cog_nix.cli.build import build_image, keep_document, options_of_run  # noqa: PLC0415 - a faster --help
    from cog_nix.image.description import with_tag  # noqa: PLC0415
    from cog_nix.project.find import find_project  # noqa: PLC0415

    project = find_project(Path.cwd(), config_file)
    options = options_of_run(cog_base=cog_base)
    try:
        built = build_image(config_file, options)
        keep_document(config_file, built.openapi)
    except SignatureError as error:
        if needs_schema:
            raise
        reporter.warn(f"{error.message}\nThe command runs all the same; the image cannot serve predictions.")
        built = _without_schema(config_file, options, project.root.name)
    tag = with_tag(built.tag)
    runtime.load(built.image.path, [tag], reporter)
    return Mounted(tag, project.root, built.gpu)


def _without_schema(config_file: str, options: BuildOptions, folder: str) -> Built:
    from cog_nix.cli.build import build_image  # noqa: PLC0415 - a faster --help
    from cog_nix.image.description import default_tag  # noqa: PLC0415

    with scratch.folder("schema") as work:
        schema = work / "openapi.json"
        schema.write_text(json.dumps(_EMPTY), encoding="utf-8")
        name = f"{default_tag(folder)}-exec"  # the model's own name stays with an image that can serve it
        return build_image(config_file, replace(options, openapi=schema, tag=name, result_link=False))


@contextmanager
def started(runtime: Runtime, request: ContainerRequest) -> Iterator[InteractiveContainer]:
    """Start a container whose streams are connected; remove it afterwards.

    Raises:
        RuntimeFailure: it does not start, or the runtime has no connected streams.
    """
    from cog_nix.plugins.spec import InteractiveContainer  # noqa: PLC0415
    from cog_nix.runtime.session import start  # noqa: PLC0415 - a faster --help

    with start(runtime, request, reporter) as container:
        if not isinstance(container, InteractiveContainer):
            raise RuntimeFailure(
                f"The runtime {runtime.name} cannot connect a container's streams.",
                hint="Choose another --runtime for this command.",
            )
        yield container


def own_streams(*, stdin: bool) -> Streams:
    """Return this process's streams; what Python holds back of stdout is written first."""
    from cog_nix.plugins.spec import Streams  # noqa: PLC0415 - a faster --help

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
        tty.setraw(descriptor)
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
