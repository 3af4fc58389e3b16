"""Write down how a builder is started, for cog-nix to start it beside Nix.

The spec is the output. It names the store paths that the builder needs, so Nix makes those first, and keeps
them for as long as the output.
"""

from __future__ import annotations

import json

import inputs


def main() -> None:
    """Build the output."""
    inputs.output().write_text(json.dumps(inputs.read(), sort_keys=True))


if __name__ == "__main__":
    main()
