"""Which start of the machine this is: what was tried once holds until the next."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def this_boot() -> str:
    """Return what tells this start of the machine from others (random(4), boot_id).

    Raises:
        OSError: ``/proc`` does not say.
    """
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def circumstances(programs: Iterable[str | None]) -> list[object]:
    """Return what an answer holds for: this start of the machine, this user, and these programs."""
    seen: list[object] = [os.geteuid()]
    with suppress(OSError):
        seen.append(this_boot())
    for path in filter(None, programs):
        with suppress(OSError):
            status = Path(path).stat()
            seen.append([path, status.st_mtime_ns, status.st_size])
    return seen
