"""Debian's own Python: the interpreter of a suite, as packages.

Each suite carries one Python; a project that asks for that minor version, or for exactly the patch level that
the suite has, gets it. Every other version is left to another plugin, and what none can bring may be in a
suite that is out of support (:data:`LAST_RESORT`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix.plugins.spec import InterpreterChoice

from .archive import open_suite
from .relations import upstream_version

if TYPE_CHECKING:
    from cog_nix.lock.model import Interpreter
    from cog_nix.plugins.spec import Context

KIND = "debian"
PYTHON_OF_SUITE = {"bookworm": "3.11", "trixie": "3.13"}
"""The minor version of each suite that images are based on; a suite's never changes."""

LAST_RESORT = {"3.9": "bullseye"}
"""Suites that have a Python that is given up, and get no security updates any more: where nobody else can
bring that Python, they are better than nothing."""

# Up to bookworm, distutils (in the standard library until Python 3.12) is a package of its own, and models
# still import it.
_MORE = dict.fromkeys(("3.9", "3.11"), ("python3-distutils",))
_VERSION = re.compile(r"^(?P<minor>3\.\d+)(?P<patch>\.\d+)?$")


def offer_interpreter(
    python_version: str, pinned: Interpreter | None, context: Context
) -> InterpreterChoice | None:
    """Offer Debian's Python when a suite has the version that is asked for.

    The archive is only asked when the answer is in doubt: for a patch level, or for a suite set by hand.

    Args:
        python_version: as in cog.yaml.
        pinned: of the lock so far; one that was the last resort stays.
        context: settings and services.

    Raises:
        LockError: the archive cannot be used.
        FetchError: the archive cannot be read.
    """
    found = _VERSION.match(python_version)
    if not found:
        return None
    minor = found["minor"]
    by_hand = context.settings.system.suite
    suite = by_hand or next((name for name, python in PYTHON_OF_SUITE.items() if python == minor), None)
    if suite is None and pinned and pinned.kind == KIND:
        suite = LAST_RESORT.get(minor)
    if suite is None or PYTHON_OF_SUITE.get(suite, minor) != minor:
        return None
    package = f"python{minor}"
    in_doubt = found["patch"] or suite not in PYTHON_OF_SUITE
    if in_doubt and not _has(suite, package, python_version, context):
        return None
    return _choice(minor, suite)


def last_resort(python_version: str, context: Context) -> InterpreterChoice | None:
    """Offer the Python of a suite that is out of support, where the project names no suite.

    Raises:
        LockError: the archive cannot be used.
        FetchError: the archive cannot be read.
    """
    minor = ".".join(python_version.split(".")[:2])
    suite = LAST_RESORT.get(minor)
    if suite is None or context.settings.system.suite:
        return None
    return _choice(minor, suite) if _has(suite, f"python{minor}", python_version, context) else None


def _choice(minor: str, suite: str) -> InterpreterChoice:
    package = f"python{minor}"
    return InterpreterChoice(
        kind=KIND,
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
