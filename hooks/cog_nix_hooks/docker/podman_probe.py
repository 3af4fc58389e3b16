"""Whether this machine's Podman starts containers: one in which nothing happens is started, once a boot.

Podman answers whatever the machine allows. It raises limits, which root without CAP_SYS_RESOURCE may not do,
and its engine may refuse how cgroups are mounted.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from cog_nix.elf import nothing
from cog_nix.errors import CogNixError
from cog_nix.system import scratch
from cog_nix.system.boot import circumstances
from cog_nix.system.files import write_atomically
from cog_nix.system.processes import ProcessError, run

if TYPE_CHECKING:
    from pathlib import Path

_MEMORY = "podman.json"


def failure(cache: Path) -> str | None:
    """Return None when Podman starts a container, otherwise what it said, in a sentence."""
    memory = cache / _MEMORY
    key = json.dumps(circumstances(map(shutil.which, ("podman", "crun", "runc"))))
    with suppress(OSError):
        if memory.read_text() == key:
            return None
    cache.mkdir(parents=True, exist_ok=True)
    with scratch.folder("podman", cache) as folder:
        nothing.write(folder)
        try:
            # The host's network: what is tried is the engine, and a network would take as long again.
            run(["podman", "run", "--rm", "--network=host", "--rootfs", folder, f"/{nothing.NAME}"])
        except ProcessError as error:
            said = (error.finished.stderr.strip().splitlines() or [error.message])[-1]
            return f"Podman is installed and starts no container: {said.removeprefix('Error: ')}"
    with suppress(CogNixError):  # the next command tries again
        write_atomically(memory, key.encode())
    return None
