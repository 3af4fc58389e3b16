"""``cog-nix check``: does an image keep the promises of Cog's images?

stdout gets a table, plain lines when it is no terminal, or JSON; a terminal's stderr tells how far it got.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cog_nix.check import all_cases, suite
from cog_nix.check.case import CompatError, select
from cog_nix.cli.options import Input  # noqa: TC001 - typer reads it
from cog_nix.cli.runtimes import usable_runtime
from cog_nix.errors import CogNixError, ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cog_nix.check import Result
    from cog_nix.cli.session import Session

STYLES = {"pass": "green", "fail": "bold red", "not applicable": "dim"}


@dataclass(frozen=True, kw_only=True)
class _Options:
    image: Annotated[str, typer.Argument(show_default=False, help="An image that the runtime holds.")] = ""
    inputs: Input = None
    case: Annotated[list[str] | None, typer.Option("--case", help="Try this case only; may be repeated.")] = (
        None
    )
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False
    list_cases: Annotated[
        bool, typer.Option("--list", help="List the cases and their promises, try none.")
    ] = False


def check(session: Session, options: _Options) -> None:
    """Try every case on an image; exit with 1 if a promise is broken.

    Raises:
        CogNixError: nothing runs images here, or there is no such image, case or input.
    """
    if options.list_cases:
        _print_cases()
        return
    if not options.image:
        raise typer.BadParameter("name the image to check", param_hint="IMAGE")
    results = examine(session, options.image, parse_inputs(options.inputs or ()), options.case or ())
    if options.as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False))
    else:
        _print_results(results)
    if any(result.outcome == "fail" for result in results):
        raise typer.Exit(1)


def parse_inputs(pairs: Iterable[str]) -> dict[str, str]:
    """Turn ``name=value`` options into a mapping.

    Raises:
        CogNixError: an option has no ``=``.
    """
    inputs = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise CogNixError(
                f"-i {pair!r} names no input.", hint="Write it as -i name=value or -i name=@path."
            )
        inputs[name] = value
    return inputs


def examine(session: Session, image: str, inputs: Mapping[str, str], only: Sequence[str]) -> list[Result]:
    """Try the cases, and tell on a terminal's stderr how far it got.

    Raises:
        ImageError: the image cannot be examined.
    """
    found: list[Result] = []
    try:
        cases = select(only)
        with session.reporter.steps_bar(f"Checking {image}", len(cases)) as bar:
            for result in suite.results(image, inputs=inputs, only=only, runtime=usable_runtime(session)):
                found.append(result)
                bar.advance(1)
                bar.describe(f"{result.case} {result.outcome}")
    except CompatError as error:
        raise ImageError(str(error), hint=error.hint) from error
    return found


def _print_results(results: Sequence[Result]) -> None:
    if sys.stdout.isatty():
        _print_table(results)
    else:  # one line a case, for grep
        for result in results:
            typer.echo(f"{result.outcome:14} {result.case:20} {' '.join(result.detail.split())}".rstrip())
    typer.echo(f"\n{summary(results)}")


def _print_table(results: Sequence[Result]) -> None:
    table = Table("case", "promise", "result", "detail", box=None, pad_edge=False, header_style="bold")
    for result in results:
        table.add_row(
            result.case,
            result.promise,
            Text(result.outcome, style=STYLES[result.outcome]),
            Text(result.detail),
        )
    Console().print(table)


def summary(results: Sequence[Result]) -> str:
    """Return how many promises were kept, in a sentence."""
    kept, broken, rest = (
        sum(result.outcome == outcome for result in results) for outcome in ("pass", "fail", "not applicable")
    )
    return f"{kept} promises kept, {broken} broken, {rest} not applicable"


def _print_cases() -> None:
    for case in all_cases():
        suffix = f" [{case.project}]" if case.project else ""
        typer.echo(f"{case.name:22} {case.promise}{suffix}")
