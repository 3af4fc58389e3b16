"""The interpreter in the image: which wheels it takes and how it answers markers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from cog_nix.system.platforms import AMD64, Platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.markers import Marker

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_LAST_WITH_PYMALLOC_FLAG = (3, 7)


@dataclass(frozen=True)
class Target:
    """CPython on Linux.

    Args:
        python_version: full version, ``3.13.5``.
        glibc: ``2.41``.
        platform: the image's.
    """

    python_version: str
    glibc: str
    platform: Platform = AMD64

    @cached_property
    def tags(self) -> dict[Tag, int]:
        """The tags this interpreter takes, each with its rank: 0 is best (PEP 425, PEP 600)."""
        version = tuple(int(part) for part in self.python_version.split(".")[:2])
        nodot = "".join(map(str, version))
        abi = f"cp{nodot}m" if version <= _LAST_WITH_PYMALLOC_FLAG else f"cp{nodot}"
        platforms = list(_platforms(int(self.glibc.split(".")[1]), self.platform))
        ordered = [
            *cpython_tags(version, [abi], platforms),
            *compatible_tags(version, f"cp{nodot}", platforms),
        ]
        return {tag: rank for rank, tag in reversed(list(enumerate(ordered)))}

    def best(self, filenames: Sequence[str]) -> str | None:
        """Return the wheel that an installer would choose, or None when none fits."""
        ranked = [(self._rank(filename), filename) for filename in filenames]
        fitting = [(rank, filename) for rank, filename in ranked if rank is not None]
        return min(fitting)[1] if fitting else None

    def _rank(self, filename: str) -> tuple[int, tuple[int, str]] | None:
        try:
            _, _, build, tags = parse_wheel_filename(filename)
        except InvalidWheelFilename:
            return None
        ranks = [self.tags[tag] for tag in tags if tag in self.tags]
        # Of equal tags the highest build number counts (PyPA binary distribution format).
        number, suffix = build or (-1, "")
        return (min(ranks), (-number, suffix)) if ranks else None

    def answers(self, marker: Marker | None) -> bool:
        """Whether a marker holds in the image (PyPA dependency specifiers)."""
        if marker is None:
            return True
        full = self.python_version
        environment = {
            "implementation_name": "cpython",
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": self.platform.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": full,
            "python_version": ".".join(full.split(".")[:2]),
            "sys_platform": "linux",
            "extra": "",
        }
        return marker.evaluate(environment)


def _platforms(glibc_minor: int, platform: Platform) -> Iterator[str]:
    for minor in range(glibc_minor, platform.oldest_glibc - 1, -1):
        yield f"manylinux_2_{minor}_{platform.machine}"
        if minor in _LEGACY:
            yield f"{_LEGACY[minor]}_{platform.machine}"
    yield f"linux_{platform.machine}"
