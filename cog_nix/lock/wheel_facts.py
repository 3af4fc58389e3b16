"""Where the facts of a lock's wheels come from: their files, which are fetched first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cog_nix.elf.facts import Depth, Facts, read_facts
from cog_nix.lock.model import Wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Read = Callable[[Wheel, Depth], Facts]
"""Returns what a wheel says of itself; asked for the same wheel more than once.

Raises:
    LockError: the wheel cannot be read.
"""


def from_files(files: Mapping[str, Path], cache_dir: Path) -> Read:
    """Return a reader of files.

    Args:
        files: downloaded wheels by sha256.
        cache_dir: where results are kept.
    """

    def read(wheel: Wheel, depth: Depth) -> Facts:
        sha256 = wheel.artifact.sha256
        return read_facts(files[sha256], sha256, cache_dir / "elf", depth)

    return read
