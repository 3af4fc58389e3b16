"""Arguments as upstream's command line (Go's pflag) takes them, turned into the ones that typer takes.

Scripts pass ``-i=name=value``, ``--use-cog-base-image=false`` and ``cog run --debug``; the last is an option
of the whole program, which upstream also takes behind the command.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SHORT = re.compile(r"(-[A-Za-z])=(.*)", re.DOTALL)
_SWITCHES = {
    "--use-cog-base-image": "--no-use-cog-base-image",
    **dict.fromkeys(("--use-replicate-token", "--debug", "--no-color", "--profile", "--version")),
    **dict.fromkeys(("--separate-weights", "--strip", "--precompile", "--skip-schema-validation")),
    **dict.fromkeys(("--no-cache", "--token-stdin", "--fix", "--playground", "--no-open", "--help")),
    **dict.fromkeys(("--verbose", "--quiet", "--json-progress", "--dry-run", "--watch", "--update-lock")),
}
"""Each switch, and what turns it off; None: leaving it out."""
_KEEP, _NO_KEEP = "--keep", "--no-keep"
"""An option whose value may be left out, as pflag has it (``NoOptDefVal``), and what turns it off."""
_KEEP_BY_ITSELF = "10m"
_TIME = re.compile(r"(?:[0-9]+[hms])+", re.ASCII)
_ON = frozenset({"1", "t", "T", "true", "True", "TRUE"})
_OFF = frozenset({"0", "f", "F", "false", "False", "FALSE"})
_TAKE_VALUES = frozenset(
    (
        *("-i", "--input", "-o", "--output", "-e", "--env", "-f", "--file", "-t", "--tag", "--json"),
        *("--setup-timeout", "--progress", "--dockerfile", "--use-cuda-base-image", "--annotation"),
        *("--openapi-schema", "--secret", "--timestamp", "--registry", "--gpus", "--from"),
        *("-p", "--port", "--publish", "--host", "--upload-url", "--playground-port", "--target"),
        *("--webhook-host", "--weights"),
    )
)
"""Options whose value is the next argument, whatever that looks like."""
_OF_PROGRAM = ("--debug", "--verbose", "-v", "--quiet", "-q", "--json-progress", "--no-color", "--profile")
"""Switches of the whole program that are taken behind the command as well, as upstream does."""
_VALUES_OF_PROGRAM = ("--registry", "--runtime")
"""Options of the whole program that are taken behind the command as well."""
_WITH_A_COMMAND_OF_THEIR_OWN = ("exec",)
"""Commands whose first argument ends their options: what follows belongs to the program that is run."""


_JSON_IS_A_SWITCH = frozenset({"archive", "push", "check", "doctor", "weights"})
"""Commands that write JSON; the others read it."""


def normalize(arguments: Sequence[str]) -> list[str]:
    """Return the arguments in the form that typer takes."""
    json = {"--json"} if command_of(arguments) in _JSON_IS_A_SWITCH else set()
    values, switches = _TAKE_VALUES - json, {**_SWITCHES, **dict.fromkeys(json)}
    found: list[str] = []
    of_program: list[str] = []
    words: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*of_program, *found, argument, *rest]
        if argument.partition("=")[0] in _VALUES_OF_PROGRAM:
            of_program += [argument] if "=" in argument else [argument, *_next(rest)]
            continue
        if argument in values:
            found += [argument, *_next(rest)]
            continue
        if argument in (_KEEP, _NO_KEEP):
            found.append(f"{_KEEP}={_KEEP_BY_ITSELF if argument == _KEEP else 0}")
            continue
        if found[-1:] == [f"{_KEEP}={_KEEP_BY_ITSELF}"] and _TIME.fullmatch(argument):
            found[-1] = f"{_KEEP}={argument}"  # nobody names an image so
            continue
        for one in _expand(argument, switches):
            (of_program if one in _OF_PROGRAM else found).append(one)
        if not argument.startswith("-"):
            words.append(argument)
        if len(words) > 1 and words[0] in _WITH_A_COMMAND_OF_THEIR_OWN:
            return [*of_program, *found[:-1], "--", found[-1], *rest]
    return [*of_program, *found]


def has_switch(arguments: Sequence[str], name: str) -> bool:
    """Whether a switch of the whole program is given, before its command or behind it."""
    return name in takewhile(lambda argument: argument != "--", normalize(arguments))


def as_options(arguments: Sequence[str]) -> list[str]:
    """Turn ``help build`` into ``build --help``, and what lacks a subcommand into its help."""
    if arguments[:1] == ["help"] or not arguments:
        return [*arguments[1:], "--help"]
    return ["weights", "--help"] if list(arguments) == ["weights"] else list(arguments)


def command_of(arguments: Sequence[str]) -> str:
    """Return the command of a command line, or an empty text when it has options only."""
    rest = iter(arguments)
    for argument in rest:
        if argument in _TAKE_VALUES or argument in _VALUES_OF_PROGRAM:
            next(rest, None)
        elif not argument.startswith("-"):
            return argument
    return ""


def _next(rest: Iterator[str]) -> list[str]:
    return [value for value in [next(rest, None)] if value is not None]


def _expand(argument: str, switches: Mapping[str, str | None]) -> list[str]:
    short = _SHORT.fullmatch(argument)
    if short:
        return [short[1], short[2]]
    name, _, value = argument.partition("=")
    if name not in switches or value not in _ON | _OFF:
        return [argument]
    off = switches[name]
    return [name] if value in _ON else [off] if off else []
