"""``cog-nix run`` when nothing has changed and the model is warm, answered before typer is imported.

As :mod:`cog_nix.cli.fast_path`: whatever is out of the ordinary goes the usual way. What takes imports,
reading inputs and writing outputs as text, is done by the process that keeps the model, which has them.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from cog_nix import __version__
from cog_nix.build import unchanged
from cog_nix.cli import fast_path
from cog_nix.keep import place
from cog_nix.system.status import status as status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cog_nix.cli.building import Remembered
    from cog_nix.cli.terminal import TerminalReporter
    from cog_nix.keep.client import KeptModel
    from cog_nix.plugins.spec import Held

_INPUTS = ("-i", "--input")
_WITH_VALUE = ("-e", "--env", "--runtime", "--gpus", "--setup-timeout")
_SWITCHES = ("--keep", "--no-keep")
_OUTPUT = "output"
"""Where files of outputs go, when nothing else is said."""


def run(arguments: Sequence[str]) -> tuple[int | None, str]:
    """Make a prediction through a model that is kept.

    Args:
        arguments: of the command line.

    Returns:
        The exit status; None: nothing was done. And the name under which what this command line does is
        remembered; empty: it is not.
    """
    split = _split(arguments)
    if split is None or any(map(os.environ.get, fast_path.NOT_HANDLED)):
        return None, ""
    inputs, images, rest = split
    name, command = "", None
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        root = os.getcwd()  # noqa: PTH109 - text
        question = [__version__, root, images, rest, unchanged.environment(os.environ), unchanged.machine()]
        name = unchanged.key({"run": question})
        if not any(map(_may_be_file, inputs)) and not os.path.lexists(_OUTPUT) and os.access(root, os.W_OK):
            command = _recall(root, name) if not images else _recall_image(name)
    return 0 if command is not None and _predict(inputs, command) else None, name


class Asked(NamedTuple):
    """What a command line asked."""

    model: str
    """Name of the kept model."""
    lines: tuple[str, ...]
    """What is said before it is asked."""
    keep: int
    """Seconds that it is kept."""

    def written(self) -> dict[str, Any]:
        """Return it as text can have it."""
        return {"model": self.model, "lines": self.lines, "keep": self.keep}


def remember(name: str, root: str, build: Remembered, asked: Asked) -> None:
    """Keep which model a command line asked.

    Args:
        name: what :func:`run` returned.
        root: the project; in another folder nothing is kept.
        build: what is remembered of its build.
        asked: the model.
    """
    if root == os.getcwd():  # noqa: PTH109 - text
        built = {"build": build.name, "linked": build.linked}
        unchanged.remember(f"{root}/.cog", name, {}, {**built, **asked.written()})


def remember_image(name: str, held: Callable[[], Held | None], asked: Asked) -> None:
    """Keep which model of an image that exists a command line asked.

    Args:
        name: what :func:`run` returned.
        held: tells where the runtime holds it; None: it does not say, so nothing is kept.
        asked: the model.
    """
    found = held()
    read = {path: status_of(path, follow=True) for path in found.read} if found else {}
    if found and held() == found:  # what was read may be of another moment
        where = {"id": found.id, "socket": found.socket, "path": found.path}
        answer = {"held": where, "read": read, "present": found.present, **asked.written()}
        unchanged.remember(place.parent(), name, {}, answer)


def is_kept(title: str, keep: int) -> str:
    """Return the line that says that a model stays warm."""
    from cog_nix.system.duration import format_duration

    return (
        f"Kept warm in {title} until nothing was asked for {format_duration(keep)}; `cog-nix stop` ends it."
    )


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str], list[str]] | None:
    """Return the inputs of a command line, its images and the rest.

    None: it has something that is not handled here.
    """
    if arguments[:1] != ["run"]:
        return None
    inputs: list[str] = []
    images: list[str] = []
    rest: list[str] = []
    left = iter(arguments[1:])
    for argument in left:
        name, equals, value = argument.partition("=")
        if argument in _INPUTS:
            inputs.append(next(left, ""))
        elif name in _INPUTS and equals:
            inputs.append(value)
        elif argument in _WITH_VALUE:
            rest += [argument, next(left, "")]
        elif argument in _SWITCHES or (equals and name in (*_WITH_VALUE, "--keep")):
            rest.append(argument)
        elif argument.startswith("-"):
            return None
        else:
            images.append(argument)
    return (inputs, images, rest) if len(images) < 2 else None  # noqa: PLR2004 - as many as it takes


def _may_be_file(text: str) -> bool:
    """Tell whether an input may name a file, which has to be read where this process is."""
    _, equals, value = text.partition("=")
    return not equals or value.lstrip('"').startswith("@")


def _recall(root: str, name: str) -> dict[str, Any] | None:
    """Return what a command line asked here, if its image would be the one that the model runs."""
    state = f"{root}/.cog"
    command: dict[str, Any] = unchanged.read(state, name)["answer"]
    kept = unchanged.read(state, command["build"])
    command["built"] = kept["answer"]
    if command["linked"] and os.readlink(f"{root}/result") != kept["answer"]["image"]:  # noqa: PTH115 - text
        return None
    return command if fast_path.same_sources(kept) and fast_path.is_same_question(kept) else None


def _recall_image(name: str) -> dict[str, Any] | None:
    """Return what a command line asked of an image, if its runtime still has that image under the name."""
    command: dict[str, Any] = unchanged.read(place.parent(), name)["answer"]
    return command if fast_path.is_still_held(command) else None


def _predict(inputs: Sequence[str], command: Mapping[str, Any]) -> bool:
    """Ask the model; return False, with nothing done, when it is not there any more."""
    from cog_nix.cli.outcome import tell_start
    from cog_nix.cli.terminal import TerminalReporter
    from cog_nix.keep.client import open_by_name

    reporter = TerminalReporter()
    model = open_by_name(command["model"], command["keep"], reporter)
    if model is None:
        return False
    for line in command["lines"]:
        reporter.info(line)
    if "built" in command:
        tell_start(reporter, command["built"])
    reporter.info(f"\n{is_kept(model.told['title'], command['keep'])}")
    reporter.info("Running prediction...\n")
    status = _answer(model, inputs, reporter)
    if status:
        sys.exit(status)
    return True


def _answer(model: KeptModel, inputs: Sequence[str], reporter: TerminalReporter) -> int:
    """Make the prediction and show it; return the exit status."""
    from cog_nix.errors import CogNixError

    try:
        with model:
            answer = model.predict(None, flags=inputs)
            if answer.get("text") is None:
                from cog_nix.cli.shown import show_plainly

                show_plainly(answer["prediction"], model.openapi(), reporter)
            else:
                sys.stdout.write(f"{answer['text']}\n")
    except CogNixError as error:
        from cog_nix.cli.app import explained

        return explained(error, "cog-nix", reporter) or 0
    return 0
