"""The extras of a wheel that stand for CUDA: its authors know best which parts of it they load."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SUFFIX = re.compile(r"-cu(\d{2})$")


@dataclass(frozen=True)
class Extra:
    """An extra that asks for parts of CUDA and for nothing else."""

    name: str
    parts: tuple[str, ...]
    """Normalised names of what it asks for."""
    family: str
    """CUDA's major version where these tell it: ``12``; otherwise empty."""
    toolkit: str | None = None
    """Which releases of ``cuda-toolkit`` it takes (PEP 440); None: it asks for parts one by one."""

    def takes(self, release: str) -> bool:
        """Tell whether it asks for ``cuda-toolkit``, and any of a release (``12.4``) will do."""
        allowed = SpecifierSet(self.toolkit or "")
        return self.toolkit is not None and any(allowed.contains(f"{release}.{patch}") for patch in range(4))


@cache
def carriers() -> Mapping[str, str]:
    """Return the packages that CUDA consists of, with what each has; names go without CUDA's version."""
    found: dict[str, str] = json.loads(Path(__file__).with_name("carriers.json").read_text("utf-8"))[
        "packages"
    ]
    return found


def title(name: str) -> str:
    """Return a package's name without CUDA's version."""
    return _SUFFIX.sub("", name)


def is_part(name: str) -> bool:
    """Tell whether a package is a part of CUDA itself, by its normalised name."""
    return title(name) in carriers()


def cuda_extras(requires: Sequence[str]) -> tuple[Extra, ...]:
    """Return a wheel's extras that stand for parts of CUDA, by name.

    Args:
        requires: its Requires-Dist (core metadata).
    """
    asked: dict[str, list[Requirement]] = {}
    for requirement, extra in _conditional(requires):
        asked.setdefault(extra, []).append(requirement)
    return tuple(
        Extra(name, _names(requirements), _family(requirements), _toolkit(requirements))
        for name, requirements in sorted(asked.items())
        if all(map(is_part, _names(requirements)))
    )


def _conditional(lines: Sequence[str]) -> Iterator[tuple[Requirement, str]]:
    """Yield each requirement that an extra adds on Linux, and the extra (core metadata, Requires-Dist)."""
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # of the old days; uv says what is wrong with it where that matters
        linux = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}
        for extra in re.findall(r"extra\s*==\s*[\"']([^\"']+)[\"']", line.partition(";")[2]):
            marker = requirement.marker
            if (
                marker
                and marker.evaluate({**linux, "extra": extra})
                and not marker.evaluate({**linux, "extra": ""})
            ):
                yield requirement, extra


def _names(requirements: list[Requirement]) -> tuple[str, ...]:
    return tuple(sorted({canonicalize_name(requirement.name) for requirement in requirements}))


def _family(requirements: list[Requirement]) -> str:
    found = {match[1] for name in _names(requirements) if (match := _SUFFIX.search(name))}
    for requirement in requirements:
        if requirement.name == "cuda-toolkit":
            found |= set(re.findall(r"[=~]=\s*(\d+)", str(requirement.specifier)))
    return found.pop() if len(found) == 1 else ""


def _toolkit(requirements: list[Requirement]) -> str | None:
    return next((str(one.specifier) for one in requirements if one.name == "cuda-toolkit"), None)
