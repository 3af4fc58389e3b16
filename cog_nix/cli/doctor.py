"""``cog-nix doctor``: what may go wrong here, and what mends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.flags import ConfigFile  # noqa: TC001 - typer reads it
from cog_nix.cli.terminal import reporter
from cog_nix.errors import CogNixError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cog_nix.config.model import Project
    from cog_nix.plugins.spec import Finding

_HELP = """Check this machine and the project here.

Looks at Nix and its sandbox, Docker and its GPUs, disks, mirrors and the index of Python packages; at
cog.yaml, the predictor, Python files and the lock.

\b
  cog-nix doctor         look, change nothing
  cog-nix doctor --fix   change what is safe to change
  cog-nix doctor --json  for programs
"""
_SIGNS = {"ok": "ok", "fixed": "fixed", "warning": "warning", "error": "ERROR"}

Fix = Annotated[bool, typer.Option("--fix", help="Mend what can be mended without asking.")]
Json = Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")]


def register(app: typer.Typer) -> None:
    """Add ``doctor`` to the command line."""
    app.command("doctor", help=_HELP)(doctor)


def doctor(*, config_file: ConfigFile = "cog.yaml", fix: Fix = False, as_json: Json = False) -> None:
    """Print what was found; exit with 1 if something is an error."""
    from cog_nix.build.story import Services  # noqa: PLC0415 - a faster --help
    from cog_nix.cli.build import plugins  # noqa: PLC0415
    from cog_nix.config import load_settings  # noqa: PLC0415
    from cog_nix.config.model import Settings  # noqa: PLC0415
    from cog_nix.doctor import examine  # noqa: PLC0415

    project = _project(config_file)
    try:
        settings = load_settings(project) if project else Settings()
    except CogNixError as error:
        reporter.warn(error.message)
        settings = Settings()
    context = Services(plugins(), reporter).context(settings)
    findings = list(_mended(examine(project, plugins(), context), fix=fix))
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in findings], indent=2))
    else:
        for one in findings:
            typer.echo(f"{_SIGNS[one.severity]:8}{one.check}: {one.message}")
            if one.severity in {"warning", "error"} and one.remedy:
                typer.echo("".join(f"        {line}\n" for line in one.remedy.splitlines()), nl=False)
        _sum_up(findings)
    if any(one.severity == "error" for one in findings):
        raise typer.Exit(1)


def _project(config_file: str) -> Project | None:
    from cog_nix.project.find import find_project  # noqa: PLC0415 - a faster --help

    try:
        return find_project(Path.cwd(), config_file)
    except ConfigError as error:
        if config_file != "cog.yaml":
            raise
        reporter.info(f"{error.message}: only the machine is looked at.")
        return None


def _mended(findings: Iterable[Finding], *, fix: bool) -> Iterator[Finding]:
    from dataclasses import replace  # noqa: PLC0415 - a faster --help

    for one in findings:
        if fix and one.fix:
            one.fix()
            yield replace(one, severity="fixed", fix=None)
        else:
            yield one


def _plain(finding: Finding) -> dict[str, object]:
    names = ("check", "severity", "message", "remedy")
    return {**{name: getattr(finding, name) for name in names}, "fixable": finding.fix is not None}


def _sum_up(findings: list[Finding]) -> None:
    errors, warnings = (sum(one.severity == name for one in findings) for name in ("error", "warning"))
    fixable = any(one.fix for one in findings)
    if not errors + warnings:
        reporter.info("no issues found")
        return
    counted = [
        f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((errors, "error"), (warnings, "warning")) if n
    ]
    more = ' Run "cog-nix doctor --fix" to mend what can be mended by itself.' if fixable else ""
    reporter.info(f"Found {', '.join(counted)}.{more}")
