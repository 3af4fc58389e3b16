"""Debian's own Python: the interpreter of a suite, as packages.

Each suite carries one Python; a project that asks for that minor version, or for exactly the patch level that
the suite has, gets it. Every other version is left to another plugin.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix.spec import InterpreterChoice

from .archive import open_suite
from .relations import upstream_version

if TYPE_CHECKING:
    from cog_nix.spec import Context

PYTHON_OF_SUITE = {"bookworm": "3.11", "trixie": "3.13"}
"""The minor version of each suite that images are based on; a suite's never changes."""

# Up to bookworm, distutils (in the standard library until Python 3.12) is a package of its own, and models
# still import it.
_MORE = {"3.11": ("python3-distutils",)}
_VERSION = re.compile(r"^(?P<minor>3\.\d+)(?P<patch>\.\d+)?$")


def offer_interpreter(python_version: str, context: Context) -> InterpreterChoice | None:
    """Offer Debian's Python when a suite has the version that is asked for.

    The archive is only asked when the answer is in doubt: for a patch level, or for a suite set by hand.

    Raises:
        LockError: the archive cannot be used.
        FetchError: the archive cannot be read.
    """
    found = _VERSION.match(python_version)
    if not found:
        return None
    minor = found["minor"]
    by_hand = context.settings.debian.suite
    suite = by_hand or next((name for name, python in PYTHON_OF_SUITE.items() if python == minor), None)
    if suite is None or PYTHON_OF_SUITE.get(suite, minor) != minor:
        return None
    package = f"python{minor}"
    in_doubt = found["patch"] or suite not in PYTHON_OF_SUITE
    if in_doubt and not _has(suite, package, python_version, context):
        return None
    return InterpreterChoice(
        kind="debian",
        minor=minor,
        suite=suite,
        packages=(
            package,
            f"{package}-minimal",
            f"lib{package}-minimal",
            f"lib{package}-stdlib",
            *_MORE.get(minor, ()),
        ),
        executable=f"/usr/bin/{package}",
        version_of=package,
        wheel_libraries=("libstdc++6",),
        build_packages=(f"{package}-dev",),
    )


def _has(suite: str, package: str, python_version: str, context: Context) -> bool:
    """Tell whether the version that would be installed is the one asked for."""
    with open_suite(suite, context) as opened:
        versions = [upstream_version(each.version) for each in opened.catalogue.named(package)]
    return bool(versions) and f"{versions[0]}.".startswith(f"{python_version}.")
