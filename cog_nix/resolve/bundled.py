"""What an interpreter brings beside itself.

Up to 3.11, Python's own images, and so upstream's, have ``setuptools`` and ``wheel`` in them, and models of
that time import ``pkg_resources`` without asking for it. Later ones have neither.

Models for Pythons that Cog has given up were written against pydantic 1, where ``int = Input(default=None)``
is an optional input. With pydantic 2 the server of their SDK refuses its own answer to a request that leaves
such an input out; so pydantic 1 is preferred there.
"""

from __future__ import annotations

from cog_nix.config.legacy import sdk_for

_FIRST_WITHOUT = (3, 12)
_SETUPTOOLS = "65.5.1"
"""Their version of it. Newer ones lack ``pkg_resources``; what requires a newer one gets it."""
_WHEEL = "0.45.1"
"""Their version of it. Newer ones require ``packaging``, which nobody has asked for."""

_PYDANTIC = "1.10.27"
"""The last release of pydantic 1; what requires another gets it."""


def requirements(python_version: str) -> tuple[str, ...]:
    """Return the requirements that an interpreter of this version adds to a project's."""
    return ("setuptools", "wheel") if _brings(python_version) else ()


def preferences(python_version: str) -> dict[str, str]:
    """Return the versions of those to take where nothing else is asked for."""
    found = {"setuptools": _SETUPTOOLS, "wheel": _WHEEL} if _brings(python_version) else {}
    return {**found, "pydantic": _PYDANTIC} if sdk_for(python_version) else found


def _brings(python_version: str) -> bool:
    major, minor = python_version.split(".")[:2]
    return (int(major), int(minor)) < _FIRST_WITHOUT
