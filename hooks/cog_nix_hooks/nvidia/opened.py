"""Parts of CUDA whose names a package puts together when it runs, so that none of its files names them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from cog_nix.plugins.spec import LibraryNeed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cog_nix.lock.model import Wheel

_TENSORFLOW = ("tensorflow", "tensorflow-gpu")
_FIRST = Version("2.5")


def opened(wheels: Iterable[Wheel]) -> Iterator[tuple[str, LibraryNeed]]:
    """Yield what wheels are known to open (``dlopen``) where there is a GPU, and CUDA's major version."""
    for wheel in wheels:
        for known in _table():
            if wheel.name in known["packages"] and wheel.version in SpecifierSet(known["versions"]):
                for soname in known["libraries"]:
                    yield known["cuda"], LibraryNeed(wheel.name, known["by"], soname)


def tell(wheels: Iterable[Wheel], warn: Callable[[str], None]) -> None:
    """Warn of a TensorFlow that no package brings CUDA for: before 2.5 it opens libraries of 10 or 11.0."""
    for wheel in wheels:
        if wheel.name in _TENSORFLOW and Version(wheel.version) < _FIRST:
            warn(
                f"{wheel.name} {wheel.version}: TensorFlow before {_FIRST} loads a CUDA that no Python"
                f" package brings, so the model runs on the CPU. Take tensorflow>={_FIRST}"
            )


@cache
def _table() -> list[dict[str, Any]]:
    text = Path(__file__).with_name("opened.json").read_text("utf-8")
    table: list[dict[str, Any]] = json.loads(text)["opened"]
    return table
