"""What this process may do: root in a container may be without what makes it root elsewhere."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

_CAP_SYS_ADMIN = 21
"""linux/capability.h"""


@cache
def mounts_as_root() -> bool:
    """Whether this is root, and may mount without a user namespace (capabilities(7), ``CAP_SYS_ADMIN``)."""
    if os.geteuid() != 0:
        return False
    status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> _CAP_SYS_ADMIN & 1)
