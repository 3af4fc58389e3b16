"""Which build a ``python_version`` means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_RELEASE = re.compile(r"\d+\.\d+\.\d+")
_SHOWN = 4


@dataclass(frozen=True)
class Build:
    """One archive with a CPython for Linux and glibc, of the kind that holds an installation and no more."""

    key: str
    """uv's name of it: ``cpython-3.12.11-linux-x86_64-gnu``."""
    version: str
    """``3.12.11``, or a pre-release such as ``3.15.0rc1``."""
    url: str


def minor_of(version: str) -> str:
    """Return ``3.12`` of ``3.12.11``."""
    return ".".join(version.split(".")[:2])


def fits(version: str, wanted: str) -> bool:
    """Whether a full version answers what ``python_version`` asks for, a minor version or a patch level."""
    return version == wanted or (wanted.count(".") == 1 and minor_of(version) == wanted)


def choose(builds: Iterable[Build], wanted: str) -> Build | None:
    """Return the newest release of a minor version, or exactly the patch level; None when there is none.

    A pre-release is only taken when it is asked for by its full name.
    """
    fitting = [
        build
        for build in builds
        if fits(build.version, wanted) and (_RELEASE.fullmatch(build.version) or build.version == wanted)
    ]
    return max(fitting, key=lambda build: _order(build.version), default=None)


def nearest(builds: Sequence[Build], wanted: str) -> list[str]:
    """Return versions to offer in place of one that does not exist.

    The patch levels closest to it where its minor version exists, and otherwise the newest release of each
    minor version; the closest first.
    """
    releases = [build.version for build in builds if _RELEASE.fullmatch(build.version)]
    same = [version for version in releases if minor_of(version) == minor_of(wanted)]
    if not same:
        newest = {minor_of(version): version for version in sorted(releases, key=_order)}
        return [newest[minor] for minor in sorted(newest, key=lambda minor: _distance(minor, wanted))][
            :_SHOWN
        ]
    return sorted(same, key=lambda version: _distance(version, wanted))[:_SHOWN]


def _order(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _distance(one: str, other: str) -> tuple[list[int], list[int]]:
    pairs = zip(_order(one), _order(other), strict=False)
    return [abs(first - second) for first, second in pairs], [-number for number in _order(one)]
