"""``python -m cog_nix``."""

from cog_nix.cli import main

main()
