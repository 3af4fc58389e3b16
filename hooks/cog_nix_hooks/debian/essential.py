"""Which of the essential packages every image has, and the packages of Cog's base image.

Debian counts more as essential than a model needs: see docs/design/base-system.md.
"""

from __future__ import annotations

from cog_nix.plugins.spec import SeedFacts, SystemFacts

from .cog_base import PACKAGES
from .interpreter import LAST_RESORT, PYTHON_OF_SUITE

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

ONLY_FOR_SCRIPTS = frozenset({"debconf", "init-system-helpers", "usr-is-merged", "usrmerge"})
"""Dependencies that only maintainer scripts use. These have run when the image is made."""

SEED = SeedFacts(
    suite="trixie",
    python="3.13",
    packages=("python3.13-minimal", "libpython3.13-stdlib"),
    unused=frozenset(
        {"debconf", "gcc-14-base", "media-types", "mime-support", "netbase", "readline-common", "tzdata"}
    ),
)

FACTS = SystemFacts(
    TOOLS,
    ONLY_FOR_SCRIPTS,
    c_library="libc6",
    cog_base=PACKAGES,
    pythons=(*reversed(PYTHON_OF_SUITE.values()), *LAST_RESORT),
    seed=SEED,
)
