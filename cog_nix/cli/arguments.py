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
    "--no-cache": None,
    "--separate-weights": None,
    "--strip": None,
    "--precompile": None,
    "--token-stdin": None,
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


_JSON_IS_A_SWITCH = frozenset({"push", "check"})
"""Commands that write JSON; the others read it."""


def normalize(arguments: Sequence[str]) -> list[str]:
    """Return the arguments in the form that typer takes."""
    values = _TAKE_VALUES - ({"--json"} if _command(arguments) in _JSON_IS_A_SWITCH else set())
    found: list[str] = []
    of_program: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*of_program, *found, argument, *rest]
        if argument in values:
            found += [argument, *[value for value in [next(rest, None)] if value is not None]]
            continue
        for one in _expand(argument):
            (of_program if one == "--debug" else found).append(one)
    return [*of_program, *found]


def _command(arguments: Sequence[str]) -> str:
    return next((one for one in arguments if not one.startswith("-")), "")


def _expand(argument: str) -> list[str]:
    short = _SHORT.fullmatch(argument)
    if short:
        return [short[1], short[2]]
    name, _, value = argument.partition("=")
    if name not in _SWITCHES or value not in _ON | _OFF:
        return [argument]
    off = _SWITCHES[name]
    return [name] if value in _ON else [off] if off else []
