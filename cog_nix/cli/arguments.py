"""Arguments as upstream's command line (Go's pflag) takes them, turned into the ones that typer takes.

Scripts pass ``-i=name=value``, ``--use-cog-base-image=false`` and ``cog run --debug``; the last is an option
of the whole program, which upstream also takes behind the command.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORT = re.compile(r"(-[A-Za-z])=(.*)", re.DOTALL)
_SWITCHES = {
    "--use-cog-base-image": "--no-use-cog-base-image",
    "--use-replicate-token": None,
    "--debug": None,
}
"""Each switch, and what turns it off; None: leaving it out."""
_ON = frozenset({"1", "t", "T", "true", "True", "TRUE"})
_OFF = frozenset({"0", "f", "F", "false", "False", "FALSE"})
_TAKE_VALUES = frozenset(
    (
        *(
            "-i",
            "--input",
            "-o",
            "--output",
            "-e",
            "--env",
            "-f",
            "--file",
            "-t",
            "--tag",
            "--json",
            "--gpus",
        ),
        *("--setup-timeout", "--progress", "--dockerfile", "--use-cuda-base-image", "--annotation"),
        *("--openapi-schema", "--secret"),
    )
)
"""Options whose value is the next argument, whatever that looks like."""


def normalize(arguments: Sequence[str]) -> list[str]:
    """Return the arguments in the form that typer takes."""
    found: list[str] = []
    of_program: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*of_program, *found, argument, *rest]
        if argument == "--runtime" or argument in _TAKE_VALUES:
            taker = of_program if argument == "--runtime" else found
            taker += [argument, *[value for value in [next(rest, None)] if value is not None]]
            continue
        for one in _expand(argument):
            (of_program if one == "--debug" or one.startswith("--runtime=") else found).append(one)
    return [*of_program, *found]


def _expand(argument: str) -> list[str]:
    short = _SHORT.fullmatch(argument)
    if short:
        return [short[1], short[2]]
    name, _, value = argument.partition("=")
    if name not in _SWITCHES or value not in _ON | _OFF:
        return [argument]
    off = _SWITCHES[name]
    return [name] if value in _ON else [off] if off else []
