"""Which start of the machine this is: what was tried once holds until the next."""

from __future__ import annotations

from pathlib import Path


def this_boot() -> str:
    """Return what tells this start of the machine from others (random(4), boot_id).

    Raises:
        OSError: ``/proc`` does not say.
    """
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
