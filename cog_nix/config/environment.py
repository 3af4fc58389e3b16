"""``environment:`` of cog.yaml: names that are taken, and how a line is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RESERVED = (
    "PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "PYTHONUNBUFFERED",
    "R8_*",
    "REPLICATE_*",
    "COG_OBSERVABILITY_*",
    "COG_TRACE_*",
    "OTEL_*",
    "LIBRARY_PATH",
    "CUDA_*",
    "NVIDIA_*",
    "NV_*",
    "PGET_*",
    "HF_ENDPOINT",
    "HF_HUB_ENABLE_HF_TRANSFER",
    "KUBERNETES_*",
)
"""Names that an image or the platform it runs on sets itself; upstream refuses the same."""


def reserved(name: str) -> bool:
    """Return whether a variable is not the project's to set."""
    return any(name.startswith(known[:-1]) if known.endswith("*") else name == known for known in RESERVED)


def parse(lines: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return names and values, in the order of valid lines."""
    return tuple((name, value) for name, _, value in (line.partition("=") for line in lines))


def problems(lines: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Yield position, what is wrong and what to do, for each line that cannot be a variable of the image."""
    seen: set[str] = set()
    for position, line in enumerate(lines):
        name, equals, value = line.partition("=")
        if not equals or not name:
            yield (
                position,
                f'environment variable "{line}" is not in the KEY=VALUE format',
                "Write: NAME=value",
            )
        elif not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            what = f'environment variable "{name}" has a name that shells cannot use'
            yield position, what, "Use letters, digits and _, and begin with a letter or _."
        elif "\n" in value:
            yield (
                position,
                f'environment variable "{name}" has a line break in it',
                "Write the value in one line.",
            )
        elif reserved(name):
            what = f'environment variable "{name}" is not allowed: reserved for internal use'
            yield position, what, "Remove it; the image sets what is needed."
        elif name in seen:
            yield position, f'environment variable "{name}" is already defined', "Keep one of the two lines."
        seen.add(name)
