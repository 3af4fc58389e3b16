"""Files that a command writes where the user says: a warning where one becomes a file of the next image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.project.ignore import IGNORE_FILE, Ignore

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.config.model import Project
    from cog_nix.report import Reporter


def warn_in_source(path: Path, project: Project, reporter: Reporter, *members: str) -> None:
    """Warn of what the next image would be built with, and so be another one, and larger, each time.

    Args:
        path: a file, or a folder that does not end up in the image with any of its members.
        project: the one here.
        reporter: is warned.
        members: of a folder.
    """
    root = project.root.resolve()
    place = path.absolute().parent.resolve() / path.name
    if not place.is_relative_to(root):
        return
    relative = place.relative_to(root)
    ignore, files = Ignore.load(root), [relative / one for one in members or ("",)]
    if not all(ignore.ignored(one.as_posix(), is_dir=False) for one in files):
        reporter.warn(
            f"{relative.as_posix()} is in the project: the next build takes it for source. "
            f"Write it elsewhere (../{place.name}), or name it in {IGNORE_FILE}."
        )
