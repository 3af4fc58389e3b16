"""Which of Debian's essential packages every image has.

Packages may rely on essential ones without a dependency (Debian Policy 3.8), so builds have them all, and so
do images with system packages. An image without any needs those that what is in it depends on, and a few
tools that people expect. Maintainer scripts have run when the image is made: what serves only them stays out.
See docs/design/base-system.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cog_nix.lock.model import Deb

TOOLS = (
    "base-files",
    "base-passwd",
    "bash",
    "ca-certificates",
    "coreutils",
    "dash",
    "debianutils",
    "diffutils",
    "dpkg",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "libc-bin",
    "mawk",
    "ncurses-base",
    "netbase",
    "sed",
    "tar",
    "tini",
    "tzdata",
)
"""What every image has: a userland to look around and debug in, certificates, an init, dpkg."""

SERVES_MAINTAINER_SCRIPTS = frozenset({"debconf", "init-system-helpers", "usr-is-merged", "usrmerge"})
"""Dependencies that only maintainer scripts use; they are not followed."""


def divide(
    base: Sequence[Deb], others: Iterable[Deb], named: Iterable[str] = ()
) -> tuple[tuple[Deb, ...], tuple[Deb, ...]]:
    """Return the core of a base system, and the rest of it.

    Args:
        base: all packages of the base system.
        others: packages that are in every image beside it.
        named: names that the image needs, whether they are of the base system or not.
    """
    depends = {deb.package: deb.depends for deb in base}
    pending = [*TOOLS, *named, *(name for deb in others for name in deb.depends)]
    reached: set[str] = set()
    while pending:
        name = pending.pop()
        if name in depends and name not in reached | SERVES_MAINTAINER_SCRIPTS:
            reached.add(name)
            pending += depends[name]
    core = tuple(deb for deb in base if deb.package in reached)
    return core, tuple(deb for deb in base if deb.package not in reached)
