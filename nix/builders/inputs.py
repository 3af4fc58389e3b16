"""What Nix hands to a builder: a JSON value in a file, and the places to write to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def read() -> Any:
    """Return the derivation's ``spec`` (passed as a file, Nix manual, "Advanced attributes")."""
    return json.loads(Path(os.environ["specPath"]).read_text())  # noqa: SIM112 - Nix's spelling


def output(name: str = "out") -> Path:
    """Return where an output of the derivation goes."""
    return Path(os.environ[name])


def scratch() -> Path:
    """Return the build's own temporary folder."""
    return Path(os.environ["NIX_BUILD_TOP"])
