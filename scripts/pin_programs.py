# ruff: noqa: INP001, T201 - a script
"""Write the versions of Nix and of the container engine that a release brings: ``make wheel`` calls it.

They are what the Debian archive has now, by its signed indexes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "hooks")]

from cog_nix.cli.terminal import TerminalReporter  # noqa: E402 - found with or without an installed cog-nix
from cog_nix.config.model import Settings  # noqa: E402 - found with or without an installed cog-nix
from cog_nix.fetch.caching import CachingFetcher  # noqa: E402 - found with or without an installed cog-nix
from cog_nix.plugins.spec import Context  # noqa: E402 - found with or without an installed cog-nix
from cog_nix.system.paths import cache_dir  # noqa: E402 - found with or without an installed cog-nix
from cog_nix.system.platforms import PLATFORMS  # noqa: E402 - found with or without an installed cog-nix
from cog_nix_hooks.debian import pins  # noqa: E402 - found with or without an installed cog-nix


def main() -> None:
    """Write the files beside the module that reads them."""
    reporter = TerminalReporter()
    context = Context(Settings(), CachingFetcher(cache_dir(), reporter), reporter, cache_dir())
    for platform in PLATFORMS.values():
        found = pins.resolve(context, platform)
        path = pins.PINS_FILE.with_name(pins.file_name(platform))
        path.write_text(json.dumps(found.plain(), indent=1) + "\n")
        versions = f"Nix {found.version('nix-bin')} and bubblewrap {found.version('bubblewrap')}"
        print(f"Pinned {versions} for {platform}")


if __name__ == "__main__":
    main()
