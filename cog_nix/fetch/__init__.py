"""Downloads, and what speaks HTTP: :mod:`cog_nix.fetch.caching` is what plugins fetch with."""
