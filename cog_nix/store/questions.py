"""What Nix is asked before anything is built: what an expression says, and what a build would have to do."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cog_nix.store import ahead, failures
from cog_nix.store.events import few, of_others, readable
from cog_nix.system import jsonvalue
from cog_nix.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cog_nix.store.nix import Nix

_LISTED = re.compile(r"^\s+(/nix/store/\S+)$", re.MULTILINE)
_ALOUD = re.compile(r"warning|error")
_NO_STORE = ("--store", "dummy://")
"""Evaluates without a store: paths are computed, and nothing is copied (Nix manual, "Dummy Store")."""


@dataclass(frozen=True)
class Plan:
    """What a build would have to do."""

    builds: frozenset[str] = frozenset()
    """Names of derivations, downloads among them."""
    fetches: tuple[str, ...] = ()
    """Store paths that would come from binary caches."""
    warnings: tuple[str, ...] = ()
    """What Nix says of caches that it could not ask."""


def evaluate(nix: Nix, expression: Path, spec: Mapping[str, object], *, foreign: bool = False) -> Any:
    """Return what a Nix file makes of values, as JSON has it; no store takes part.

    Args:
        nix: evaluates.
        expression: evaluates to a function of ``{ spec }``, a JSON file.
        spec: values for it.
        foreign: whether it reads what others wrote: then flakes come, and what is read is put into the store.

    Raises:
        NixError: it cannot be evaluated.
    """
    program = "nix-instantiate"
    begun = nix.foreign(program, "--read-write-mode") if foreign else [nix.program(program), *_NO_STORE]
    command = [*begun, "--eval", "--strict", "--json", str(expression)]
    with ahead.Values(spec) as file:
        finished = run([*command, *file.arguments()], env=file.environment(), check=False)
    if finished.returncode:
        raise failures.explain(finished.stderr)
    try:
        return jsonvalue.loads(finished.stdout)
    except ValueError as error:
        raise failures.UnexpectedAnswerError(error) from error


def plan(nix: Nix, expression: Path, spec: Mapping[str, object]) -> Plan:
    """Return what :meth:`cog_nix.store.nix.Nix.build` would do; binary caches are asked.

    Raises:
        NixError: the expression cannot be evaluated.
    """
    from cog_nix.store.bucket import opened  # noqa: PLC0415 - most builds have no cache

    with ahead.Values(spec) as file, opened(nix.caches) as caches:
        command = replace(nix, caches=caches).building(
            "nix-build", str(expression), "--no-out-link", "--dry-run"
        )
        env = {**file.environment(), **nix.caches.environment()}
        finished = run([*command, *file.arguments()], env=env, check=False)
    if finished.returncode:
        raise failures.explain(finished.stderr)
    listed = _LISTED.findall(finished.stderr)
    builds = frozenset(readable(one) for one in listed if one.endswith(".drv"))
    lines = filter(_ALOUD.match, finished.stderr.splitlines())
    warnings = tuple(few(filter(None, map(of_others, lines))))
    fetches = tuple(one for one in listed if not one.endswith(".drv"))
    return Plan(builds, fetches, warnings)
