"""Packages of programs that models start: what no index tells, or what is known without asking one.

The archive's Contents index of an architecture leaves out packages that are for all of them, and alternatives
(``update-alternatives``), which maintainer scripts make. ``known.json`` has programs by package; of
several packages, which are of several suites, the first that there is counts. All was looked up in Debian 12
and 13.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_KNOWN = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))

PACKAGES: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in _KNOWN["same_name"]},
    **{
        program: tuple(packages.split())
        for packages, programs in _KNOWN["others"].items()
        for program in programs
    },
}
"""The packages that may have a program, the first one first."""

OF_NO_USE = frozenset(_KNOWN["of_no_use"])
"""Programs of a desktop, a cluster, another system, an administrator, or NVIDIA's driver: a container has no
use for them, or gets them from its host."""
