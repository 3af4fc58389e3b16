"""What to advise about PyTorch and TensorFlow: releases that can be installed for the project's Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.config import torch
from cog_nix.config.gpu import known_releases, name_another, pinned_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.config.gpu import UnknownReleaseError

_TENSORFLOW_FIRST = {"3.10": "2.8.0", "3.11": "2.12.0", "3.12": "2.16.1", "3.13": "2.20.0"}
"""The first release of TensorFlow with wheels for a Python (its page "Tested build configurations")."""


def newer_python(version: str, requirements: Sequence[str]) -> str:
    """Return the advice to take a newer Python, with the releases of frameworks that this asks for.

    Args:
        version: the Python to advise: ``3.10``.
        requirements: the project's requirement lines.
    """
    advice = f'Write: python_version: "{version}", or a later one.'
    for package in ("torch", "tensorflow"):
        pinned = pinned_version(package, requirements)
        fitting = _fitting(package, version)
        if pinned and fitting and torch.numbers(pinned)[:2] < torch.numbers(fitting[0])[:2]:
            advice += f" {package} has wheels for it from {fitting[0]} on, and {pinned} has none."
    return advice


def other_release(error: UnknownReleaseError, python_version: str) -> str:
    """Return what to write where the CUDA of a release is not known.

    Args:
        error: which release.
        python_version: of the project; "": not known.
    """
    fitting = _fitting(error.package, python_version)
    known = [one for one in known_releases(error.package) if one in fitting]
    if not known:
        return error.fix
    if torch.numbers(error.version)[:2] < torch.numbers(fitting[0])[:2]:
        names = " or ".join(f"{error.package}=={one}" for one in dict.fromkeys((known[0], known[-1])))
        return f"It has no wheels for Python {python_version}. Take one that has: {names}."
    return name_another(error.package, error.version, known)


def _fitting(package: str, python_version: str) -> list[str]:
    """Return the releases with wheels for a Python, oldest first; none where that is not known."""
    if not torch.numbers(python_version):
        return []
    if package == "torch":
        return [one.version for one in torch.releases() if one.fits(python_version)]
    first = _TENSORFLOW_FIRST.get(torch.minor(python_version), "")
    least = torch.numbers(first)
    return [one for one in known_releases("tensorflow") if first and torch.numbers(one) >= least]
