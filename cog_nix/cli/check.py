"""``cog-nix check``: does an image keep the promises of Cog's images, and can it take another one's place?

stdout gets a table, plain lines when it is no terminal, or JSON; a terminal's stderr tells how far it got.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cog_nix.check import all_cases, junit, suite
from cog_nix.check.case import CompatError, select
from cog_nix.check.engine import Engine
from cog_nix.check.release import Plan, compare
from cog_nix.cli.against import told
from cog_nix.cli.building import build_and_load
from cog_nix.cli.options import Env, Gpus, Input, PlatformName, ProjectOptions, variables
from cog_nix.cli.runtimes import building_for, hold, usable_runtime
from cog_nix.errors import CogNixError, ConfigError, FlagError, ImageError
from cog_nix.project.find import find_project
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cog_nix.check import Result
    from cog_nix.check.release import Release
    from cog_nix.cli.session import Session
    from cog_nix.config.model import Check
    from cog_nix.plugins.spec import Runtime

STYLES = {"pass": "green", "fail": "bold red", "not applicable": "dim"}


_OF_COMPARISONS = {"random": "--random", "seed": "--seed", "exact": "--exact"}
"""Options that mean nothing without ``--against``."""


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    image: Annotated[
        str,
        typer.Argument(
            show_default=False,
            help="An image that the runtime holds, or pulls; none: the project's, with --against.",
        ),
    ] = ""
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="OLD",
            show_default=False,
            help="Tell whether its clients may use IMAGE.",
        ),
    ] = ""
    inputs: Input = None
    case: Annotated[list[str] | None, typer.Option("--case", help="Try this case only; may be repeated.")] = (
        None
    )
    random: Annotated[
        int, typer.Option("--random", min=0, help="With --against: how many inputs to draw by chance.")
    ] = Plan.count
    seed: Annotated[
        int,
        typer.Option(
            "--seed", help="With --against: the seed of --random; the same one draws the same inputs."
        ),
    ] = Plan.seed
    exact: Annotated[
        bool,
        typer.Option("--exact", help="With --against: answers to random inputs have to be equal, too."),
    ] = False
    read_only: Annotated[
        bool,
        typer.Option(
            "--read-only", help="Let nothing but /tmp be written to, as it is for images with a user anyway."
        ),
    ] = False
    platform: PlatformName = None
    env: Env = None
    gpus: Gpus = ""
    junit: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="Write the results there as JUnit XML."),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False
    list_cases: Annotated[
        bool, typer.Option("--list", help="List the cases and their promises, try none.")
    ] = False


def check(session: Session, options: _Options) -> None:
    """Try every case on an image; exit with 1 if a promise is broken.

    Raises:
        CogNixError: nothing runs images here, or there is no such image, case or input.
    """
    root, checks = _declared(session, options.config_file)
    if options.list_cases:
        _print_cases(checks)
        return
    if options.against:
        _compare(session, options, root, checks)
        return
    results = _tried(session, options, root, checks)
    if options.junit:
        write_atomically(options.junit.absolute(), junit.of_results(options.image, results))
    if options.as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False))
    else:
        _print_results(results)
    if any(result.outcome == "fail" for result in results):
        raise typer.Exit(1)


def _tried(session: Session, options: _Options, root: Path, checks: Sequence[Check]) -> list[Result]:
    """Try the promises, and what the project here declares."""
    for name, flag in _OF_COMPARISONS.items():
        if getattr(options, name) != getattr(_Options, name):
            raise FlagError(flag, "this is for comparing two images.", hint="Add --against OLD_IMAGE.")
    if not options.image:
        raise typer.BadParameter("name the image to check", param_hint="IMAGE")
    only = options.case or ()
    own = [one for one in checks if not only or one.name in only]
    others = [name for name in only if name not in {one.name for one in own}]
    hold(session, usable_runtime(session), options.image, options.platform)
    results = []
    if others or not only:
        inputs, env = parse_inputs(options.inputs or ()), variables(options.env or ())
        results += examine(session, options.image, inputs, others, env, read_only=options.read_only)
    if own:
        results += _examine_declared(session, options, root, own)
    return results


def _declared(session: Session, config_file: str) -> tuple[Path, tuple[Check, ...]]:
    """Return the folder of the project here, and the checks that it declares; none where there is no project.

    Raises:
        ConfigError: cog-nix.toml is wrong.
    """
    try:
        project = find_project(Path.cwd(), config_file)
    except ConfigError:
        return Path.cwd(), ()
    return project.root, session.plugins.settings(project).check


def _compare(session: Session, options: _Options, root: Path, checks: tuple[Check, ...]) -> None:
    """Compare two images, tell how it went, exit with 1 if the new one breaks clients of the old one."""
    runtime = usable_runtime(session)
    chosen = [one for one in checks if not options.case or one.name in options.case]
    for name in options.case or ():
        if name not in {one.name for one in chosen}:
            known = ", ".join(one.name for one in checks) or "none"
            hint = f"cog-nix.toml declares {known}; promises are tried without --against."
            raise FlagError("--case", "there is no such check.", name, hint=hint)
    hold(session, runtime, options.against, options.platform)
    new = options.image
    if new:
        hold(session, runtime, new, options.platform)
    else:
        session.reporter.info(building_for(runtime))
        new = build_and_load(
            session, options.config_file, runtime, cog_base=None, platform=options.platform
        ).reference
    plan = Plan(
        tuple(chosen),
        root,
        parse_inputs(options.inputs or ()),
        options.random,
        options.seed,
        options.exact,
        options.gpus,
        variables(options.env or ()),
    )
    found = _compared(session, runtime, (options.against, new), plan)
    if options.junit:
        write_atomically(options.junit.absolute(), junit.of_release(found))
    if options.as_json:
        typer.echo(json.dumps(found.plain(), indent=2, ensure_ascii=False))
    else:
        for line in told(found):
            typer.echo(line)
    if not found.compatible:
        raise typer.Exit(1)


def _compared(session: Session, runtime: Runtime, images: tuple[str, str], plan: Plan) -> Release:
    with _explained(), session.reporter.steps_bar("Comparing", None) as bar:
        return compare(*images, plan, Engine(runtime), bar.describe)


def _examine_declared(
    session: Session, options: _Options, root: Path, checks: Sequence[Check]
) -> list[Result]:
    """Try what the project here declares."""
    with _explained():
        runtime, env = usable_runtime(session), variables(options.env or ())
        tried = suite.declared(
            options.image,
            checks,
            root,
            runtime=runtime,
            gpus=options.gpus,
            env=env,
            read_only=options.read_only,
        )
        return _watched(session, options.image, len(checks), tried)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what keeps an image from being examined into an error of ours.

    Raises:
        ImageError: something did.
    """
    try:
        yield
    except CompatError as error:
        raise ImageError(str(error), hint=error.hint) from error


def _watched(session: Session, image: str, total: int, results: Iterable[Result]) -> list[Result]:
    """Collect results, and tell on a terminal's stderr how far it got."""
    found: list[Result] = []
    with session.reporter.steps_bar(f"Checking {image}", total) as bar:
        for result in results:
            found.append(result)
            bar.advance(1)
            bar.describe(f"{result.case} {result.outcome}")
    return found


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


def examine(
    session: Session,
    image: str,
    inputs: Mapping[str, str],
    only: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    read_only: bool = False,
) -> list[Result]:
    """Try the cases, and tell on a terminal's stderr how far it got.

    Raises:
        ImageError: the image cannot be examined.
    """
    with _explained():
        cases = select(only)
        runtime = usable_runtime(session)
        tried = suite.results(image, inputs=inputs, only=only, runtime=runtime, env=env, read_only=read_only)
        return _watched(session, image, len(cases), tried)


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


def _print_cases(checks: Sequence[Check]) -> None:
    for case in all_cases():
        suffix = f" [{case.project}]" if case.project else ""
        typer.echo(f"{case.name:22} {case.promise}{suffix}")
    for one in checks:
        typer.echo(f"{one.name:22} {suite.DECLARED}")
