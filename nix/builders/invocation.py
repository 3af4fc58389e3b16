"""Write down how a builder is started, for cog-nix to start it beside Nix.

The spec is the output. It names the store paths that the builder needs, so Nix makes those first, and keeps
them for as long as the output.
"""

from __future__ import annotations

import json
from typing import Any

import inputs


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    inputs.output().write_text(json.dumps(spec, sort_keys=True))
