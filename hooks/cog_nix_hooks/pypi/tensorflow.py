"""TensorFlow that finds no CUDA in a GPU model's image.

Cog takes CUDA from its base image, which has none here. TensorFlow's extra ``and-cuda`` has it, and is
added where it fits (``find_python_libraries``). Facts, from the metadata on PyPI: 2.14 is the first release
with the extra; those of 2.14 and 2.15.0 require a TensorRT that has no wheel, so they cannot be installed;
before 2.14 there is none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.version import Version

from cog_nix_hooks.pypi.lines import requirement_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from packaging.requirements import Requirement

    from cog_nix_hooks.pypi.lines import Lines

_NAME = re.compile(r"^\s*tensorflow(\[[^\]]*\])?(?=\s*(?:[=<>!~; ]|$))", re.IGNORECASE)
_EXTRA = "and-cuda"
_FIRST = Version("2.15.1")
_UPPER = ("==", "===", "<", "<=", "~=")


def tell(lines: Lines, warn: Callable[[str], None]) -> None:
    """Warn of a TensorFlow that is too old to bring CUDA along.

    Args:
        lines: of a GPU model.
        warn: is told.
    """
    for line in lines.requirements:
        requirement = requirement_of(line) if _NAME.match(line) else None
        if requirement is None or requirement.url or _EXTRA in requirement.extras:
            continue
        if not requirement.specifier.contains(_FIRST, prereleases=True) and _is_older(requirement):
            warn(
                f"{line.strip()}: TensorFlow before {_FIRST} does not bring CUDA along, and the image has no"
                f" other, so the model runs on the CPU. Take tensorflow>={_FIRST}"
            )


def _is_older(requirement: Requirement) -> bool:
    """Return whether every version that is allowed is older than the first one that will do."""
    ends = [
        Version(one.version.removesuffix(".*")) for one in requirement.specifier if one.operator in _UPPER
    ]
    return any(end < _FIRST for end in ends)
