"""What builds with a compiler for GPUs have in their environment.

Two keys of a builder's spec say that there is one: ``programs``, folders that come first in the ``PATH``, and
``environment``, variables as ``[NAME, value]``; later ones win.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BYTES_PER_JOB = 5 << 30
"""Memory that one compiler for templates as deep as CUTLASS's takes (flash-attn's own figure)."""


def variables(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables to add to a build's environment; none without a compiler for GPUs."""
    if "programs" not in spec:
        return {}
    return {
        "PATH": path(spec["programs"], _PATH),
        "MAX_JOBS": str(jobs(os.cpu_count() or 1, memory())),
        **dict(spec["environment"]),
    }


def path(programs: Sequence[str], known: str) -> str:
    """Return a ``PATH`` with the compiler's folders first."""
    return ":".join([*programs, known])


def jobs(processors: int, available: int) -> int:
    """Return how many compilers may run at once (torch.utils.cpp_extension reads it from ``MAX_JOBS``).

    Args:
        processors: how many there are.
        available: memory, in bytes.
    """
    return max(1, min(processors, available // _BYTES_PER_JOB))


def memory() -> int:
    """Return the machine's memory in bytes (sysconf(3)), or as much as every processor may want."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return (os.cpu_count() or 1) * _BYTES_PER_JOB
