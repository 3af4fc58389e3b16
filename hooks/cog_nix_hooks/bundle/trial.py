"""Starts a container in which nothing happens, as real ones are started: whether an engine works is tried."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix_hooks.bundle import engines, join
from cog_nix_hooks.bundle.layers import remove
from cog_nix_hooks.bundle.process import Process
from cog_nix_hooks.bundle.users import User

if TYPE_CHECKING:
    from cog_nix_hooks.bundle.join import Isolation

_EXIT = bytes.fromhex("31ff 6a3c 58 0f05")
"""``exit(0)`` of x86-64: edi = 0, rax = 60, syscall."""
_ADDRESS, _HEADERS = 0x400000, 64 + 56


def _program() -> bytes:
    """Return a program that does nothing and needs no libraries (elf(5))."""
    size = _HEADERS + len(_EXIT)
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", identity, 2, 62, 1, _ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, 0x1000)
    return header + segment + _EXIT


def why_not(engine: str, isolation: Isolation, containers: Path) -> str | None:
    """Return None when an engine starts a container, otherwise what it said.

    Args:
        engine: its path.
        isolation: what it is started in.
        containers: folder that containers are made in.
    """
    folder = Path(tempfile.mkdtemp(prefix=".trial-", dir=containers))
    try:
        command = join.prepare(folder, [], "copy", isolation)
        (folder / "rootfs/nothing").write_bytes(_program())
        (folder / "rootfs/nothing").chmod(0o755)
        process = Process(("/nothing",), {}, "/", User(), tty=False, mounts=(), port=None)
        command += engines.prepare(engine, folder, process, folder.name.lstrip("."))
        tried = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    finally:
        remove(folder)
    if tried.returncode == 0:
        return None
    return (tried.stderr or tried.stdout).strip() or f"exit status {tried.returncode}"
