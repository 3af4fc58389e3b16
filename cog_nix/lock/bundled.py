"""What an interpreter brings beside itself.

Up to 3.11, Python's own images, and so upstream's, have ``setuptools`` and ``wheel`` in them, and models of
that time import ``pkg_resources`` without asking for it. Later ones have neither.
"""

from __future__ import annotations

_FIRST_WITHOUT = (3, 12)
_SETUPTOOLS = "65.5.1"
"""Their version of it. Newer ones lack ``pkg_resources``; what requires a newer one gets it."""


def requirements(python_version: str) -> tuple[str, ...]:
    """Return the requirements that an interpreter of this version adds to a project's."""
    return ("setuptools", "wheel") if _brings(python_version) else ()


def preferences(python_version: str) -> dict[str, str]:
    """Return the versions of those to take where nothing else is asked for."""
    return {"setuptools": _SETUPTOOLS} if _brings(python_version) else {}


def _brings(python_version: str) -> bool:
    major, minor = python_version.split(".")[:2]
    return (int(major), int(minor)) < _FIRST_WITHOUT
