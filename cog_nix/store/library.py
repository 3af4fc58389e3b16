"""Where the Nix library is: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path


def nix_library() -> Path:
    """Return the folder with ``default.nix``."""
    package = package_folder()
    inside = package / "_nix"
    return inside if inside.is_dir() else package.parent / "nix"


def package_folder() -> Path:
    """Return the folder of the ``cog_nix`` package, parts of which run inside builds."""
    return Path(__file__).resolve().parents[1]
