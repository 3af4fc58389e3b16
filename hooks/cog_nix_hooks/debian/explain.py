"""A dead end of the solver in plain words: who needs what, and what stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .relations import Relation, show_clause

if TYPE_CHECKING:
    from collections.abc import Callable

    from .packages import Catalogue
    from .solver import Chosen, DeadEndError, Obstacle

_INDENT = "  "


def explain(error: DeadEndError, catalogue: Catalogue, place: Callable[[str], str]) -> str:
    """Return a few lines that tell why packages cannot be installed together.

    Args:
        error: what the solver raised.
        catalogue: what there is.
        place: shows a requested name with where it was asked for.
    """
    lines = [f"The system packages cannot be installed together in Debian {catalogue.suite}:"]
    lines += [_INDENT + line for line in _way_to(error, error.need.owner, place)]
    wanted = show_clause(error.need.clause)
    lines.append(_INDENT + (f"{error.need.owner} needs {wanted}" if error.need.owner else place(wanted)))
    if error.obstacles:
        for obstacle in error.obstacles:
            lines += [_INDENT * 2 + line for line in _obstacle(error, obstacle, place)]
    else:
        lines += [_INDENT * 2 + _missing(relation, catalogue) for relation in error.need.clause]
    return "\n".join(lines)


def _way_to(error: DeadEndError, name: str, place: Callable[[str], str]) -> list[str]:
    """Return the chain of needs from a requested name to a package."""
    lines: list[str] = []
    while name:
        chosen = error.chosen[name]
        wanted = show_clause(chosen.need.clause)
        as_what = "" if wanted.split()[0] == name else f": {name}"
        owner = chosen.need.owner
        lines.append(
            f"{owner} needs {wanted}{as_what}" if owner else f"{place(wanted)} is asked for{as_what}"
        )
        name = owner
    return lines[::-1]


def _obstacle(error: DeadEndError, obstacle: Obstacle, place: Callable[[str], str]) -> list[str]:
    other: Chosen = obstacle.other
    if obstacle.relation is None:
        lines = [f"{obstacle.package} cannot be taken beside {other.package}"]
    elif obstacle.by_other:
        lines = [f"{obstacle.package} cannot be taken: {other.package} conflicts with {obstacle.relation}"]
    else:
        lines = [
            f"{obstacle.package} cannot be taken: it conflicts with {obstacle.relation} ({other.package})"
        ]
    return lines + [_INDENT + line for line in _way_to(error, other.package.name, place)]


def _missing(relation: Relation, catalogue: Catalogue) -> str:
    versions = ", ".join(package.version for package in catalogue.named(relation.name))
    if versions:
        return f"{relation} is not there: the suite has {relation.name} {versions}"
    return f"{relation} is not there: the suite has no {relation.name}"
