"""Starts a container in which nothing happens, as real ones are started: whether an engine works is tried."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from cog_nix.elf import nothing
from cog_nix_hooks.bundle import cgroups, engines, rootfs
from cog_nix_hooks.bundle.folders import new_name, owned
from cog_nix_hooks.bundle.process import Process
from cog_nix_hooks.bundle.users import User

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix_hooks.bundle.rootfs import Isolation

_SECONDS = 30
"""Far more than any machine takes."""


def failure(engine: str, isolation: Isolation, containers: Path) -> str | None:
    """Return None when an engine starts a container, otherwise what it said."""
    name = new_name("trial")
    with owned(containers, name) as folder:
        cgroups.record(folder, name)
        command = rootfs.prepare(folder, [], "copy", isolation)
        nothing.write(folder / "rootfs")
        process = Process(
            (f"/{nothing.NAME}",), {}, "/", User(), tty=False, mounts=(), read_only=(), port=None
        )
        command += engines.prepare(engine, folder, process, name)
        try:
            tried = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return f"it has not come to an end after {_SECONDS} seconds"
    if tried.returncode == 0:
        return None
    return (tried.stderr or tried.stdout).strip() or f"exit status {tried.returncode}"
