"""Plugins that come with cog-nix, through the same hooks that anyone can use."""
