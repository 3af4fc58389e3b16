"""What Nix hands to a builder: a JSON value in a file, and the places to write to."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

_SPARE = 4


def read() -> Any:
    """Return the derivation's ``spec`` (passed as a file, Nix manual, "Advanced attributes")."""
    return json.loads(Path(os.environ["specPath"]).read_text())  # noqa: SIM112 - Nix's spelling


def output(name: str = "out") -> Path:
    """Return where an output of the derivation goes."""
    return Path(os.environ[name])


def scratch() -> Path:
    """Return the build's own temporary folder."""
    return Path(os.environ["NIX_BUILD_TOP"])


def workspace(need: int) -> Path:
    """Return the folder to work in: in memory when what is written there takes less than a quarter of that.

    Args:
        need: bytes.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the sandbox's own
    sandboxed = scratch() == Path("/build")
    roomy = sandboxed and memory.is_dir() and shutil.disk_usage(memory).free > _SPARE * need
    return memory if roomy else scratch()
