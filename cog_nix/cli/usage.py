"""What a wrong command line is told: upstream's words (of spf13/cobra and pflag), which scripts look for."""

from __future__ import annotations

import re
from typing import Any

import typer

_Problem: type[Any] = typer.BadParameter.__mro__[1]
"""click's UsageError: newer versions of typer carry click inside and do not export this class."""
_TOO_MANY = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", re.DOTALL)

_WITHOUT_WORDS = ("build", "doctor")
"""Commands of upstream's that take a word for a command of theirs (``cobra.NoArgs``)."""


def show(problem: Any) -> None:
    """Show how the command is used, and what is wrong."""
    words = in_cobras_words(problem)
    (_Problem(words, ctx=problem.ctx) if words else problem).show()


def in_cobras_words(problem: Any) -> str:
    """Return what upstream says of a problem of click's; "" where it has no words for it."""
    kind = type(problem).__name__
    if kind == "NoSuchOption":
        return _unknown(problem.option_name)
    if kind == "BadOptionUsage" and "requires an argument" in problem.message:
        return f"flag needs an argument: {_flag(problem.option_name)}"
    if kind == "MissingParameter" and problem.param.param_type_name == "argument":
        return "requires at least 1 arg(s), only received 0"
    if kind == "UsageError" and (found := _TOO_MANY.fullmatch(problem.message)):
        return _too_many(problem.ctx, found[1].split())
    return ""


def _unknown(option: str) -> str:
    what = "flag" if option.startswith("--") else "shorthand flag"
    return f"unknown {what}: {_flag(option)}"


def _flag(option: str) -> str:
    return option if option.startswith("--") else f"'{option[1:2]}' in {option}"


def _too_many(ctx: Any, extra: list[str]) -> str:
    taken = sum(one.param_type_name == "argument" for one in ctx.command.params)
    if ctx.info_name in _WITHOUT_WORDS:
        return f'unknown command "{extra[0]}" for "cog {ctx.info_name}"'
    return f"accepts at most {taken} arg(s), received {taken + len(extra)}"
