"""TensorFlow that finds no CUDA in a GPU model's image, since no package has the one that it opens.

Before 2.5 that is CUDA 10 or 11.0. Newer ones get theirs as all packages do (``find_python_libraries``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cog_nix.lock.model import Wheel

_NAMES = ("tensorflow", "tensorflow-gpu")
_FIRST = Version("2.5")


def tell(wheels: Iterable[Wheel], warn: Callable[[str], None]) -> None:
    """Warn of a TensorFlow that is too old.

    Args:
        wheels: of a GPU model.
        warn: is told.
    """
    for wheel in wheels:
        if wheel.name in _NAMES and Version(wheel.version) < _FIRST:
            warn(
                f"{wheel.name} {wheel.version}: TensorFlow before {_FIRST} loads a CUDA that no Python"
                f" package brings, so the model runs on the CPU. Take tensorflow>={_FIRST}"
            )
