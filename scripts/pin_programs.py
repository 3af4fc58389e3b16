# ruff: noqa: INP001, T201 - a script
"""Write the versions of Nix and of the container engine that a release brings: ``make wheel`` calls it.

They are what the Debian archive has now, by its signed indexes.
"""

from __future__ import annotations

import json

from cog_nix.cli.terminal import reporter
from cog_nix.config.model import Settings
from cog_nix.fetch import CachingFetcher
from cog_nix.paths import cache_dir
from cog_nix.spec import Context
from cog_nix_hooks.debian import pins


def main() -> None:
    """Write the file beside the module that reads it."""
    context = Context(Settings(), CachingFetcher(cache_dir(), reporter), reporter, cache_dir())
    found = pins.resolve(context)
    pins.PINS_FILE.write_text(json.dumps(found.plain(), indent=1) + "\n")
    print(f"Pinned Nix {found.version('nix-bin')} and bubblewrap {found.version('bubblewrap')}")


if __name__ == "__main__":
    main()
