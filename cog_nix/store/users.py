"""Who builders are, where the machine's root builds without a daemon: users who own nothing, if Nix can.

Nix then would run builders as root. Users for them are in a group where its installer made one (Nix manual,
"build-users-group"); newer Nix takes any from a range that nobody else uses ("auto-allocate-uids", an
experimental feature). With neither, builders stay root, and what they run is kept from what root owns
(``nix/builders/confinement.py``).
"""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.namespaces import sandbox
from cog_nix.store import choice

if TYPE_CHECKING:
    from collections.abc import Sequence

_GROUP = "nixbld"
_ALLOCATES = (2, 26)
"""The oldest Nix that is known to choose users well; the feature came with 2.12."""
_ROOT = ("--option", "build-users-group", "")
_STATE = Path("/nix/var/nix")
"""Where Nix keeps which users are taken, whatever the store is."""


def options(bin_dir: Path, root: Path | None, cache: Path) -> Sequence[str]:
    """Return Nix's options that say who builders are.

    Args:
        bin_dir: Nix's programs.
        root: of an own store; None: the system's.
        cache: where versions are remembered.
    """
    if os.geteuid() != 0 or sandbox.builders_user() is None or not _is_private(root):
        return _ROOT
    if _members():
        return ("--option", "build-users-group", _GROUP)
    known = choice.number(bin_dir / "nix-build", cache)
    if known is None or known < _ALLOCATES or not (root is None or _STATE.is_dir()):
        return _ROOT
    feature = ("--option", "extra-experimental-features", "auto-allocate-uids")
    return (*feature, "--option", "auto-allocate-uids", "true", *_ROOT)


def _is_private(root: Path | None) -> bool:
    """Return whether nobody else may put another folder in a store's place: Nix has users only there."""
    if root is None:
        return True
    for folder in (root.absolute(), *root.absolute().parents):
        try:
            mode = folder.lstat().st_mode
        except OSError:
            continue  # it is still to be made
        if stat.S_ISLNK(mode) or mode & stat.S_IWOTH:
            return False
    return True


def _members() -> Sequence[str]:
    try:
        return grp.getgrnam(_GROUP).gr_mem
    except KeyError:
        return ()
