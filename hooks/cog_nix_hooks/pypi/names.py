"""What a name probably means that no index has, or that PyPI has as a pointer to another one.

``names.json`` has packages that models ask for, from public ``cog.yaml`` files, and names that people write
because they import a module by them, or since conda calls a package so. Only names that cannot be installed
are looked up, so a name that an index has is never taken for another one.
"""

from __future__ import annotations

import difflib
import json
from functools import cache
from pathlib import Path
from typing import TypedDict

_ALIKE = 0.8
"""How much of two names has to be the same (:mod:`difflib`): two letters of ten may be others."""


class _Table(TypedDict):
    conda: list[str]
    imports: dict[str, str]
    projects: list[str]


def is_cuda_of_conda(name: str) -> bool:
    """Return whether a name is one of conda's for CUDA, which is in wheels or comes with them.

    Args:
        name: normalised (PEP 503).
    """
    return name in _table()["conda"]


def pointed_to(name: str) -> str:
    """Return the package that one is imported as, or conda's name of; "" where nothing is known.

    Args:
        name: normalised (PEP 503).
    """
    return _table()["imports"].get(name, "")


def meant(name: str) -> str:
    """Return the package that is probably meant by a name that no index has; "" where none is like it.

    Args:
        name: normalised (PEP 503).
    """
    table = _table()
    every = (*table["imports"], *" ".join(table["projects"]).split())
    like = [name] if name in every else difflib.get_close_matches(name, every, n=1, cutoff=_ALIKE)
    return table["imports"].get(like[0], like[0]) if like else ""


@cache
def _table() -> _Table:
    found: _Table = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return found
