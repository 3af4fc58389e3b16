"""The program behind the shim: ``cog`` as scripts and people call it.

What cog-nix does goes to cog-nix; everything else goes to upstream's ``cog``, unchanged.
"""

from __future__ import annotations

import sys


def version_line() -> str:
    """Return what ``cog --version`` says: the version of Cog that images get, in upstream's form."""
    from cog_nix import __version__  # a faster start
    from cog_nix.config.sdk import CURRENT

    return f"cog version {CURRENT} (cog-nix {__version__})"


def main() -> None:
    """Run ``cog``."""
    from cog_nix.cli import interrupts  # as the entry point of cog-nix

    interrupts.watch()
    from cog_nix.cli.app import COG, INTERRUPTED, run
    from cog_nix.cli.streams import ensure_open

    ensure_open()
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        sys.stdout.write(f"{version_line()}\n")
        sys.exit()
    interrupts.finish(lambda: run(arguments, program=COG), INTERRUPTED)


if __name__ == "__main__":
    main()
