"""``./result``: the link to a project's image, as nix-build makes it: what it leads to is not collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.project.ignore import is_image_program
from cog_nix.system.files import link_atomically
from cog_nix.system.state import NAME as STATE

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.report import Reporter

NAME = "result"


def link_result(root: Path, image: Path, reporter: Reporter) -> bool:
    """Make ``./result``, which runs wherever the store is; leave a file of the user's alone.

    A copy of an image's program, as it is left by who copies a project with its links resolved, is none.

    Args:
        root: the project.
        image: the program that writes its image.
        reporter: is told where it is when there is no link.

    Returns:
        Whether it leads to the image.

    Raises:
        CogNixError: the folder is not writable.
    """
    link = root / NAME
    if link.is_symlink() and link.readlink() == image:
        return True
    if link.exists() and not link.is_symlink() and not is_image_program(link):
        reporter.warn(f"{NAME} is a file of yours; the image is {image}")
        return False
    link_atomically(image, link, _unseen(root))
    return True


def _unseen(root: Path) -> Path:
    """Return the folder to make the link in: builds of the same project that run read all others."""
    own = root / STATE
    return own if own.is_dir() and own.stat().st_dev == root.stat().st_dev else root
