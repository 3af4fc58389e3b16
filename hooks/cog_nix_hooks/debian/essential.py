"""Which of the essential packages every image has, and the packages of Cog's base image.

Debian counts more as essential than a model needs: see docs/design/base-system.md.
"""

from __future__ import annotations

from cog_nix.plugins.spec import SeedFacts, SystemFacts

from .cog_base import PACKAGES
from .database import DPKG
from .everywhere import EVERYWHERE
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

BUILDER = SeedFacts(
    suite="trixie",
    python="3.13",
    packages=(
        *("python3.13-minimal", "libpython3.13-stdlib"),
        *("base-files", "coreutils", "dash", "ca-certificates", "git", "nix-bin"),
    ),
    unused=frozenset(
        """
        base-passwd curl debconf debianutils gcc-14-base git-man libaudit-common libaudit1 libcap-ng0
        libdb5.3t64 libdbd-sqlite3-perl libdbi-perl libdebconfclient0 liberror-perl libgdbm-compat4t64
        libgdbm6t64 libpam-modules libpam-modules-bin libpam0g libperl5.40 libsemanage-common libsemanage2
        libsepol2 libwww-curl-perl login.defs mawk media-types openssl openssl-provider-legacy passwd perl
        perl-base perl-modules-5.40 readline-common tzdata
        """.split()  # noqa: SIM905 - a list of words to read
    ),
)
"""Unused are dependencies of maintainer scripts, and of parts of git and Nix."""

FACTS = SystemFacts(
    TOOLS,
    ONLY_FOR_SCRIPTS,
    c_library="libc6",
    cog_base=PACKAGES,
    pythons=(*reversed(PYTHON_OF_SUITE.values()), *LAST_RESORT),
    seed=SEED,
    name="Debian",
    programs=EVERYWHERE,
    database=DPKG,
    builder=BUILDER,
)
