"""``cog-nix doctor``: what may go wrong here, and what mends it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.build.story import Services
from cog_nix.cli.options import ProjectOptions
from cog_nix.cli.terminal import coloured
from cog_nix.doctor import examine
from cog_nix.doctor.project import CONFIG_CHECKS, PYTHON_CHECKS
from cog_nix.errors import CogNixError, ConfigError
from cog_nix.project.find import find_project

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cog_nix.cli.session import Session
    from cog_nix.config.model import Project
    from cog_nix.plugins.spec import Finding

_SIGNS = {"ok": "\x1b[1;32m✓\x1b[0m", "warning": "\x1b[1;33m⚠\x1b[0m", "error": "\x1b[1;31m✗\x1b[0m"}
_WORST_FIRST = ("error", "warning", "fixed", "ok")


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    fix: Annotated[bool, typer.Option("--fix", help="Fix what can be fixed without asking.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False


@dataclass(frozen=True)
class _Check:
    """A check, with all that it found and what came of fixing it."""

    name: str
    findings: tuple[Finding, ...]
    failure: CogNixError | None = None
    """Why it could not be fixed."""

    @property
    def severity(self) -> str:
        if self.failure:
            return "error"
        return next(one for one in _WORST_FIRST if any(found.severity == one for found in self.findings))


def doctor(session: Session, options: _Options) -> None:
    """Tell what was found, as cog does; exit with 1 if something is an error."""
    reporter = session.reporter
    if not options.as_json:
        reporter.info(f"Running {session.program} doctor{' --fix' if options.fix else ''}...\n")
    project = _project(options.config_file, session)
    try:
        settings = session.plugins.settings(project)
    except CogNixError as error:
        reporter.warn(error.message)
        settings = session.plugins.settings()
    context = Services(session.plugins, reporter).context(settings)
    found = examine(project, session.plugins, context)
    checks = _checks(found)
    if options.fix:  # the last first: the first one moves predict.py, which others change
        checks = [_fixed(one) for one in reversed(checks)][::-1]
    if options.as_json:
        typer.echo(json.dumps([_plain(one) for check in checks for one in _told(check)], indent=2))
    else:
        signs = coloured(os.environ, terminal=sys.stderr.isatty())
        for line in _lines(checks, signs=signs):
            reporter.info(line)
        reporter.info(f"\n{_summary(checks, fix=options.fix, program=session.program)}")
    if any(check.severity == "error" for check in checks):
        if not options.as_json:
            reporter.error("doctor found issues")
        raise typer.Exit(1)


def _project(config_file: str, session: Session) -> Project | None:
    """Find the project; a machine can be looked at without one, but not as cog's doctor."""
    try:
        return find_project(Path.cwd(), config_file)
    except ConfigError as error:
        if config_file != "cog.yaml" or session.program != "cog-nix":
            raise
        session.reporter.info(f"{error.message}: only the machine is checked.\n")
        return None


def _checks(findings: Iterable[Finding]) -> list[_Check]:
    """Bring findings of the same check together, under their groups."""
    kept: dict[tuple[str, str], list[Finding]] = {}
    for one in findings:
        kept.setdefault((one.group, one.check), []).append(one)
    order = {name: place for place, name in enumerate((*CONFIG_CHECKS, *PYTHON_CHECKS))}
    groups = ("Config", "Python", "Environment")
    last = len(order)
    names = sorted(kept, key=lambda key: (groups.index(key[0]), order.get(key[1], last)))
    return [_Check(name, tuple(kept[group, name])) for group, name in names]


def _fixed(check: _Check) -> _Check:
    fixed: list[Finding] = []
    for one in check.findings:
        try:
            if one.fix:
                one.fix()
        except CogNixError as error:
            return replace(check, failure=error)
        fixed.append(replace(one, severity="fixed", fix=None) if one.fix else one)
    return replace(check, findings=tuple(fixed))


def _told(check: _Check) -> Iterable[Finding]:
    """Return the findings of a check, or why it could not be fixed."""
    if check.failure is None:
        return check.findings
    first = check.findings[0]
    return [replace(first, severity="error", message=check.failure.message, remedy=check.failure.hint)]


def _lines(checks: Iterable[_Check], *, signs: bool) -> Iterator[str]:
    group = ""
    for check in checks:
        if check.findings[0].group != group:
            group = check.findings[0].group
            yield group
        severity = check.severity
        sign = f" {_SIGNS.get(severity, _SIGNS['ok'])} " if signs else ""
        name = f"Fixed: {check.name}" if severity == "fixed" else check.name
        if check.failure:
            yield f"{sign}{name}: {check.failure.shown()}"
            continue
        yield f"{sign}{name}"
        for one in check.findings:
            yield from _details(one)


def _details(finding: Finding) -> Iterator[str]:
    place = finding.file and f"{finding.file}{f':{finding.line}' if finding.line else ''} — "
    if finding.message:
        yield "\n".join(f"  {line}" for line in f"{place}{finding.message}".splitlines())
    if finding.severity in {"warning", "error"} and finding.remedy:
        first, *more = finding.remedy.splitlines()
        yield "\n".join((f"  Remediation: {first}", *(f"    {line}" for line in more)))


def _plain(finding: Finding) -> dict[str, object]:
    names = ("group", "check", "severity", "message", "remedy", "file", "line")
    return {**{name: getattr(finding, name) for name in names}, "fixable": finding.fix is not None}


def _summary(checks: list[_Check], *, fix: bool, program: str) -> str:
    found = [one for check in checks for one in _told(check)]
    number = {name: sum(one.severity == name for one in found) for name in ("error", "warning", "fixed")}
    if number["fixed"]:
        more = f". {_counted(number['warning'], 'warning')} remaining" if number["warning"] else ""
        more += f". {_counted(number['error'], 'unfixed error')}" if number["error"] else ""
        return f"Fixed {_counted(number['fixed'], 'issue')}{more}."
    told = [_counted(number[name], name) for name in ("error", "warning") if number[name]]
    if not told:
        return "no issues found"
    fixable = not fix and any(one.fix for one in found)
    advice = f' Run "{program} doctor --fix" to auto-fix.' if fixable else ""
    return f"Found {', '.join(told)}.{advice}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
