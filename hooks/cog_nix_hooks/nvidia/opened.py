"""Parts of CUDA whose names a package puts together when it runs, so that none of its files names them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet

from cog_nix.plugins.spec import LibraryNeed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cog_nix.lock.model import Wheel


def opened(wheels: Iterable[Wheel]) -> Iterator[tuple[str, LibraryNeed]]:
    """Yield what wheels are known to open (``dlopen``) where there is a GPU, and CUDA's major version."""
    for wheel in wheels:
        for known in _table():
            if wheel.name in known["packages"] and wheel.version in SpecifierSet(known["versions"]):
                for soname in known["libraries"]:
                    yield known["cuda"], LibraryNeed(wheel.name, known["by"], soname)


@cache
def _table() -> list[dict[str, Any]]:
    text = Path(__file__).with_name("opened.json").read_text("utf-8")
    table: list[dict[str, Any]] = json.loads(text)["opened"]
    return table
