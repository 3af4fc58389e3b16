"""The former place of the hook specifications, for plugins that were written for it.

They are in :mod:`cog_nix.plugins.spec`; this module goes with version 1.
"""

from __future__ import annotations

import warnings
from typing import Any

from cog_nix.plugins import spec

warnings.warn("cog_nix.spec is now cog_nix.plugins.spec; change the import", DeprecationWarning, stacklevel=2)


def __getattr__(name: str) -> Any:
    return getattr(spec, name)
