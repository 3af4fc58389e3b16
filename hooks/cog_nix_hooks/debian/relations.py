"""Relationship fields of binary packages: Depends, Provides, Conflicts and the like (Debian Policy 7.1)."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.system.platforms import AMD64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from debian.debian_support import BaseVersion

_RELATION = re.compile(
    r"""^(?P<name>[^\s:(\[<]+)
    (?: :(?P<qualifier>[\w-]+) )? \s*
    (?: \( \s* (?P<operator><<|<=|=|>=|>>|<|>) \s* (?P<version>[A-Za-z0-9][A-Za-z0-9.+:~-]*) \s* \) )? \s*
    (?: \[ (?P<architectures>[^\]]*) \] )? \s*
    (?: <[^>]*> \s* )*$""",
    re.VERBOSE,
)

# Policy 7.1: < and > are old spellings of <= and >=.
_OPERATORS = {"<": "<=", ">": ">="}


_COMPARISONS: Mapping[str, Callable[[BaseVersion, BaseVersion], bool]] = {
    "<<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">>": operator.gt,
}


class RelationError(LockError, ValueError):
    """A relationship field is not in the form of Debian Policy 7.1."""


@lru_cache(maxsize=65536)
def version_of(text: str) -> BaseVersion:
    """Return a version that orders as dpkg does (Debian Policy 5.6.12)."""
    from debian.debian_support import Version  # noqa: PLC0415 - slow to import, and not every answer compares

    return Version(text)


def upstream_version(text: str) -> str:
    """Return the upstream part of a version: ``3.13.5`` of ``1:3.13.5-2+deb13u1``."""
    return version_of(text).upstream_version or ""


@dataclass(frozen=True)
class Relation:
    """One package name with what is asked of it: ``libc6 (>= 2.38)``."""

    name: str
    operator: str = ""
    """``<<``, ``<=``, ``=``, ``>=``, ``>>``, or empty for any version."""
    version: str = ""
    qualifier: str = ""
    """``any``, ``native`` or an architecture, after a colon (Multi-Arch)."""
    architecture: str = AMD64.debian
    """What is resolved for."""

    def accepts(self, version: str) -> bool:
        """Tell whether a version fits the restriction.

        Args:
            version: a package's version, or the version of a Provides; empty for an unversioned Provides,
                which fits unversioned relations alone (Policy 7.5).
        """
        if not self.operator:
            return True
        if not version:
            return False
        return _COMPARISONS[self.operator](version_of(version), version_of(self.version))

    @property
    def fits_architecture(self) -> bool:
        """Whether the qualifier leaves packages of the locked architecture in question."""
        return self.qualifier in ("", "any", "native", "all", self.architecture)

    def __str__(self) -> str:
        name = f"{self.name}:{self.qualifier}" if self.qualifier else self.name
        return f"{name} ({self.operator} {self.version})" if self.operator else name


Clause = tuple[Relation, ...]
"""Alternatives, the preferred one first: ``a | b``."""


def show_clause(clause: Clause) -> str:
    """Return a clause as control files write it."""
    return " | ".join(map(str, clause))


def _parse_relation(text: str, architecture: str) -> Relation | None:
    """Parse one relation; None when it does not concern the architecture."""
    found = _RELATION.match(text.strip())
    if not found:
        raise RelationError(f"not a package relationship: {text.strip()!r}")
    if not _concerns(found["architectures"], architecture):
        return None
    sign = found["operator"] or ""
    return Relation(
        found["name"],
        _OPERATORS.get(sign, sign),
        found["version"] or "",
        found["qualifier"] or "",
        architecture,
    )


def _concerns(restriction: str | None, architecture: str) -> bool:
    """Tell whether ``[amd64 !i386]`` includes an architecture (Policy 7.1)."""
    if restriction is None:
        return True
    names = restriction.split()
    matching = {architecture, "any", "linux-any", f"any-{architecture}"}
    if any(name.startswith("!") for name in names):
        return not any(name.removeprefix("!") in matching for name in names)
    return any(name in matching for name in names)


@lru_cache(maxsize=16384)
def parse_clauses(field: str, architecture: str = AMD64.debian) -> tuple[Clause, ...]:
    """Parse a field of comma-separated clauses with alternatives.

    Args:
        field: a field's value, such as Depends; may be empty.
        architecture: Debian's name of the one that is resolved for.

    Raises:
        RelationError: the value is not in the form of Debian Policy 7.1.
    """
    clauses = []
    for part in filter(None, map(str.strip, field.split(","))):
        relations = tuple(found for text in part.split("|") if (found := _parse_relation(text, architecture)))
        if relations:
            clauses.append(relations)
    return tuple(clauses)


def parse_relations(field: str, architecture: str = AMD64.debian) -> tuple[Relation, ...]:
    """Parse a field that has no alternatives: Provides, Conflicts, Breaks.

    Raises:
        RelationError: the value is not in the form of Debian Policy 7.1.
    """
    return tuple(relation for clause in parse_clauses(field, architecture) for relation in clause)
