"""Whether builds and containers can have namespaces here, and where not, what forbids them and what helps.

A build, and a container without a daemon, run in a user namespace with mounts and processes of its own
(user_namespaces(7)). :func:`why_no_namespaces` tries that and looks for the cause where it fails. Whoever has
to tell a user says what it returns.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING

from cog_nix.namespaces import program, sandbox
from cog_nix.namespaces.causes import Failure, explain
from cog_nix.namespaces.surroundings import Surroundings
from cog_nix.system import scratch
from cog_nix.system.processes import run

if TYPE_CHECKING:
    from cog_nix.namespaces.causes import Obstacle

_CAP_SYS_ADMIN = 21
"""linux/capability.h"""


@cache
def mounts_as_root() -> bool:
    """Whether this is root, and may mount without a user namespace, as root in a container may not."""
    return os.geteuid() == 0 and bool(sandbox.capabilities() >> _CAP_SYS_ADMIN & 1)


def why_no_namespaces() -> Obstacle | None:
    """Try to make namespaces as builds and containers do; return None when it works, otherwise why not.

    It is asked when something has failed, and by ``cog-nix doctor``: it takes about 50 ms.
    """
    failure = attempt()
    return explain(failure, Surroundings()) if failure else None


def attempt() -> Failure | None:
    """Try it; return what failed, or None."""
    with scratch.folder("namespaces") as folder:
        said = run([sys.executable, "-I", "-S", program.__file__, folder]).stdout.split()
    return Failure(said[0], int(said[1])) if said else None
