# ruff: noqa: INP001 - a plugin of hatchling
"""Write what a wheel, or a checkout that is installed, knows of this machine: where the Debian archive is.

The sources name no mirror. Where a machine names none either, cog-nix falls back to the ones that the
building machine used: its apt's sources, or ``COG_NIX_DEBIAN_MIRROR`` and ``COG_NIX_DEBIAN_SECURITY_MIRROR``.
The same goes for the service that keeps the archive as it was (``COG_NIX_DEBIAN_SNAPSHOT``).
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FOLDER = "hooks/cog_nix_hooks/debian"
_NO_SETTINGS = SimpleNamespace(mirror=None, security_mirror=None, snapshot=None)
"""As of a project without cog-nix.toml."""


class CustomBuildHook(BuildHookInterface):
    """Runs before files are gathered, for wheels and for editable installations alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's
        """Write the file; leave it as it is where this machine names no mirror or the folder is read-only."""
        root = Path(self.root)
        sources = _sources(root)
        try:
            found = sources.find_archive(_NO_SETTINGS, os.environ, defaults=Path(os.devnull))
            named = {"mirror": found.main, "security_mirror": found.security}
            if snapshot := sources.find_snapshot(_NO_SETTINGS, os.environ, [found], Path(os.devnull)):
                named["snapshot"] = snapshot
            (root / _FOLDER / "mirrors.json").write_text(json.dumps(named, indent=1) + "\n")
        except (sources.MirrorError, OSError) as error:
            self.app.display_warning(f"No default mirror is written: {error}")


def _sources(root: Path) -> Any:
    """Load the module that knows apt's sources; the rest of its package needs more than a build has."""
    sys.path.insert(0, str(root))
    package = ModuleType("cog_nix_sources")
    package.__path__ = [str(root / _FOLDER)]
    sys.modules[package.__name__] = package
    return importlib.import_module(f"{package.__name__}.sources")
