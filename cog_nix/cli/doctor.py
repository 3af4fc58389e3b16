"""``cog-nix doctor``: what may go wrong here, and what mends it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.build.story import Services
from cog_nix.cli.options import ProjectOptions
from cog_nix.config import load_settings
from cog_nix.config.model import Settings
from cog_nix.doctor import examine
from cog_nix.errors import CogNixError, ConfigError
from cog_nix.project.find import find_project

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cog_nix.cli.session import Session
    from cog_nix.config.model import Project
    from cog_nix.plugins.spec import Finding
    from cog_nix.report import Reporter

_SIGNS = {"ok": "ok", "fixed": "fixed", "warning": "warning", "error": "ERROR"}


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    fix: Annotated[bool, typer.Option("--fix", help="Fix what can be fixed without asking.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False


def doctor(session: Session, options: _Options) -> None:
    """Print what was found; exit with 1 if something is an error."""
    project = _project(options.config_file, session.reporter)
    try:
        settings = load_settings(project) if project else Settings()
    except CogNixError as error:
        session.reporter.warn(error.message)
        settings = Settings()
    context = Services(session.plugins, session.reporter).context(settings)
    findings = list(_fixed(examine(project, session.plugins, context), fix=options.fix))
    if options.as_json:
        typer.echo(json.dumps([_plain(one) for one in findings], indent=2))
    else:
        for one in findings:
            typer.echo(f"{_SIGNS[one.severity]:8}{one.check}: {one.message}")
            if one.severity in {"warning", "error"} and one.remedy:
                typer.echo("".join(f"        {line}\n" for line in one.remedy.splitlines()), nl=False)
        session.reporter.info(_summary(findings))
    if any(one.severity == "error" for one in findings):
        raise typer.Exit(1)


def _project(config_file: str, reporter: Reporter) -> Project | None:
    try:
        return find_project(Path.cwd(), config_file)
    except ConfigError as error:
        if config_file != "cog.yaml":
            raise
        reporter.info(f"{error.message}: only the machine is checked.")
        return None


def _fixed(findings: Iterable[Finding], *, fix: bool) -> Iterator[Finding]:
    for one in findings:
        if fix and one.fix:
            one.fix()
            yield replace(one, severity="fixed", fix=None)
        else:
            yield one


def _plain(finding: Finding) -> dict[str, object]:
    names = ("check", "severity", "message", "remedy")
    return {**{name: getattr(finding, name) for name in names}, "fixable": finding.fix is not None}


def _summary(findings: list[Finding]) -> str:
    numbers = ((name, sum(one.severity == name for one in findings)) for name in ("error", "warning"))
    counted = [f"{number} {name}{'' if number == 1 else 's'}" for name, number in numbers if number]
    if not counted:
        return "no issues found"
    fixable = any(one.fix for one in findings)
    more = ' Run "cog-nix doctor --fix" to fix what can be fixed by itself.' if fixable else ""
    return f"Found {', '.join(counted)}.{more}"
