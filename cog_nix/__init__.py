"""Build Cog models into reproducible Docker images with Nix."""

__version__ = "0.1.0"
