"""Pythons that Cog has given up, and the last releases of its SDK that run on them.

``[python] legacy = true`` in cog-nix.toml takes them. Those SDKs come with a server of their own in place of
``coglet``, know the method ``predict`` and the key ``predict:`` alone, and write their OpenAPI document in
another way (:mod:`cog_nix.signature.legacy`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix.config.model import Project
from cog_nix.config.problem import Problem
from cog_nix.config.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.config.document import Document

SDKS = {"3.7": "0.11.6", "3.8": "0.16.12", "3.9": "0.16.12"}
"""The last release of Cog's SDK for each of them (its ``Requires-Python``)."""
MINIMUM_SDK = (0, 11, 6)
BEFORE_SDK = (0, 17, 0)
"""The first release of the SDK that none of them runs."""

OPT_IN = " Or keep it, with cog {sdk}, the last for it: legacy = true under [python] in cog-nix.toml."


def sdk_for(python_version: str) -> str | None:
    """Return the last SDK for a Python that Cog has given up; None for a Python of today, or an older one."""
    return SDKS.get(".".join(python_version.strip().split(".")[:2]))


def is_taken(python_version: str, root: Path) -> bool:
    """Return whether a Python is one of those, and the project takes it.

    Raises:
        ConfigError: cog-nix.toml is wrong.
    """
    if sdk_for(python_version) is None:
        return False
    return load_settings(Project(root, root / "cog.yaml")).python.legacy


def problems(document: Document, python_version: str) -> Iterator[Problem]:
    """Yield what the last SDK for a Python cannot do.

    Args:
        document: cog.yaml.
        python_version: one that :func:`is_taken`.
    """
    sdk = sdk_for(python_version)
    if document.value(str, "run") is not None:
        yield Problem(
            document.line("run"),
            f'cog {sdk}, the last for Python {python_version}, does not know "run"',
            f"Write: predict: {document.value(str, 'run')}",
        )
    if (document.value(dict, "observability", "traces") or {}).get("enabled"):
        yield Problem(
            document.line("observability", "traces"),
            f"cog {sdk}, the last for Python {python_version}, does not trace",
            "Remove observability.",
        )
    version = document.value(str, "build", "sdk_version")
    numbers = tuple(map(int, re.findall(r"\d+", version or "")[:3]))
    if version and not MINIMUM_SDK <= (*numbers, 0, 0, 0)[:3] < BEFORE_SDK:
        yield Problem(
            document.line("build", "sdk_version"),
            f"cog {version} does not support Python {python_version}",
            f'Remove the line, or write: sdk_version: "{sdk}"',
        )
