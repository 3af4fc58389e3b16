"""The extras of a wheel that stand for CUDA: its authors know best which parts of it they load."""

from __future__ import annotations

import email.parser
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from cog_nix.wheelfile import read_or_refused, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_METADATA = re.compile(r"^[^/]+\.dist-info/METADATA$")
_PART = re.compile(r"nvidia-.+|cuda-(toolkit|bindings|core|pathfinder)")
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


def is_part(name: str) -> bool:
    """Tell whether a package is a part of CUDA itself, by its normalised name."""
    return _PART.fullmatch(name) is not None


def cuda_extras(wheel: Path) -> tuple[Extra, ...]:
    """Return a wheel's extras that stand for parts of CUDA, by name.

    Args:
        wheel: the file.

    Raises:
        LockError: it is no wheel.
    """
    asked: dict[str, list[Requirement]] = {}
    for requirement, extra in _conditional(_requires(wheel)):
        asked.setdefault(extra, []).append(requirement)
    return tuple(
        Extra(name, _names(requirements), _family(requirements), _toolkit(requirements))
        for name, requirements in sorted(asked.items())
        if all(map(is_part, _names(requirements)))
    )


def _requires(wheel: Path) -> list[str]:
    with read_or_refused(wheel), zipfile.ZipFile(wheel) as archive:
        text = text_of(archive, _METADATA)
    return [str(line) for line in email.parser.HeaderParser().parsestr(text).get_all("Requires-Dist", [])]


def _conditional(lines: list[str]) -> Iterator[tuple[Requirement, str]]:
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
