"""Who the main process is: the image's ``User``, looked up in the image's own passwd and group files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


_NUMBER = re.compile("[0-9]{1,10}")


class UnknownUserError(RuntimeFailure):
    """An image does not have the user or group that its main process is to have.

    Args:
        kind: which of both.
        name: that was asked for.
        file: of the image, where those that there are stand.
    """

    def __init__(self, kind: str, name: str, file: str) -> None:
        super().__init__(hint=f"Name one that is in its {file}, or a number.")
        self.kind, self.name = kind, name

    def __str__(self) -> str:
        return f"The image has no {self.kind} {self.name}."


@dataclass(frozen=True)
class User:
    """A user and a group by number, and the folder that HOME names."""

    uid: int = 0
    gid: int = 0
    home: str = "/root"


def find_user(text: str, layers: Sequence[Path]) -> User:
    """Return who ``text`` names.

    Args:
        text: ``user``, ``uid``, ``user:group``, ``uid:gid`` or nothing (image-spec, config.md, "User").
        layers: folders of the image's unpacked layers, from bottom to top.

    Raises:
        UnknownUserError: the image has no such user or group.
    """
    name, _, group = (text or "0").partition(":")
    entry = next((one for one in _entries(layers, "passwd") if name in (one[0], one[2])), None)
    if entry is None and not _NUMBER.fullmatch(name):
        raise UnknownUserError("user", name, "/etc/passwd")
    uid, gid, home = (int(entry[2]), int(entry[3]), entry[5]) if entry else (int(name), 0, "/")
    return User(uid, _group(group, layers) if group else gid, home or "/")


def _group(name: str, layers: Sequence[Path]) -> int:
    if _NUMBER.fullmatch(name):
        return int(name)
    for entry in _entries(layers, "group"):
        if entry[0] == name:
            return int(entry[2])
    raise UnknownUserError("group", name, "/etc/group")


def _entries(layers: Sequence[Path], name: str) -> Iterator[list[str]]:
    """Yield the lines of the uppermost file of this name (passwd(5), group(5)), cut into fields."""
    fields, numbers = (7, slice(2, 4)) if name == "passwd" else (4, slice(2, 3))
    for layer in reversed(layers):
        path = layer / "etc" / name
        if path.is_file() and not path.is_symlink():
            lines = (line.split(":") for line in path.read_text(errors="replace").splitlines())
            for line in lines:
                if len(line) == fields and all(map(_NUMBER.fullmatch, line[numbers])):
                    yield line
            return
