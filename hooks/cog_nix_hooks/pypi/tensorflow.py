"""TensorFlow's wheels bring CUDA along only when they are asked: the extra ``and-cuda``.

Cog takes CUDA from its base image, which has none here, so a GPU model gets the extra. Facts, from the
metadata on PyPI: 2.14 is the first release with the extra; those of 2.14 and 2.15.0 require a TensorRT that
has no wheel, so they cannot be installed; before 2.14 there is none.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.version import Version

from cog_nix_hooks.pypi.lines import requirement_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from packaging.requirements import Requirement

    from cog_nix_hooks.pypi.lines import Lines

_NAME = re.compile(r"^\s*tensorflow(?P<extras>\[[^\]]*\])?(?=\s*(?:[=<>!~; ]|$))", re.IGNORECASE)
_EXTRA = "and-cuda"
_FIRST = Version("2.15.1")


def with_cuda(lines: Lines, warn: Callable[[str], None]) -> Lines:
    """Return the lines with the extra added where TensorFlow is asked for without it.

    Args:
        lines: of a GPU model.
        warn: told of a release that finds no CUDA in the image.
    """
    return replace(lines, requirements=tuple(_line(line, warn) for line in lines.requirements))


def _line(line: str, warn: Callable[[str], None]) -> str:
    named = _NAME.match(line)
    if not named:
        return line
    requirement = requirement_of(line)
    if requirement is None:
        return line  # uv will say what is wrong with it
    if requirement.url or _EXTRA in requirement.extras:
        return line
    if not requirement.specifier.contains(_FIRST, prereleases=True) and _is_older(requirement):
        warn(
            f"{line.strip()}: TensorFlow before {_FIRST} does not bring CUDA along, and the image has no"
            f" other, so the model runs on the CPU. Take tensorflow>={_FIRST}"
        )
        return line
    extras = ",".join([*sorted(requirement.extras), _EXTRA])
    return f"tensorflow[{extras}]{line[named.end() :]}"


def _is_older(requirement: Requirement) -> bool:
    """Return whether every version that is allowed is older than the first one that will do."""
    ends = [
        Version(one.version.removesuffix(".*")) for one in requirement.specifier if one.operator in _UPPER
    ]
    return any(end < _FIRST for end in ends)


_UPPER = ("==", "===", "<", "<=", "~=")
