"""Files that a command writes where the user says: none becomes a file of the project's next image."""

from __future__ import annotations

from pathlib import Path

from cog_nix.build.result import NAME as RESULT
from cog_nix.errors import FlagError
from cog_nix.project.find import find_project
from cog_nix.project.ignore import IGNORE_FILE, Ignore


def refuse_in_source(flag: str, path: Path, config_file: str, *members: str) -> None:
    """Refuse to write what the next image would be built with, and so be another one, and larger, each time.

    Args:
        flag: what names it.
        path: a file, or a folder that does not end up in the image with any of its members.
        config_file: the name of the project's configuration.
        members: of a folder.

    Raises:
        FlagError: it is in the project, and not ignored.
    """
    root = find_project(Path.cwd(), config_file).root.resolve()
    place = path.absolute().parent.resolve() / path.name
    if not place.is_relative_to(root):
        return
    relative = place.relative_to(root)
    ignore, files = Ignore.load(root), [relative / one for one in members or ("",)]
    left_out = all(ignore.ignored(one.as_posix(), is_dir=False) for one in files)
    if not left_out or relative.name == RESULT:
        raise FlagError(
            flag,
            "it is in the project, and would be part of the next image.",
            relative.as_posix(),
            hint=f"Write it elsewhere (../{place.name}), or name it in {IGNORE_FILE}.",
        )
