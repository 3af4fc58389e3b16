"""What of this machine its own Python needs inside a sandbox."""

from __future__ import annotations

import os
import sys

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache")
_ALTERNATIVES = "/etc/alternatives"
_STORE = "/nix/store"
"""Where the system's programs are on NixOS."""


def python_paths() -> list[str]:
    """Return the files and folders to show to this Python, and to the system's programs that it starts."""
    wanted = {*_SYSTEM, _ALTERNATIVES, sys.base_prefix, sys.base_exec_prefix}
    if os.path.realpath("/bin/sh").startswith(_STORE):
        wanted.add(_STORE)
    return sorted(filter(os.path.lexists, wanted))
