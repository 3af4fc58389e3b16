"""What a file by reference may be: where it goes, and where it comes from."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_PLACE = re.compile(r"/?[^/\x00-\x1f\x7f]+(?:/[^/\x00-\x1f\x7f]+)*")
_URL = re.compile(r"https?://[^\s@/]+/\S*[^\s/]|hf://[^\s/@]+/[^\s/@]+(?:@[^\s/]+)?/\S*[^\s/]")


def is_place(path: str) -> bool:
    """Tell whether it is a path in the project's folder, or an absolute one."""
    return bool(_PLACE.fullmatch(path)) and not {".", ".."} & set(path.split("/"))


def is_url(url: str) -> bool:
    """Tell whether it is ``https://…`` or ``hf://org/repo[@revision]/path``, without credentials."""
    return bool(_URL.fullmatch(url))


def overlap(paths: list[str]) -> bool:
    """Tell whether two of them are one place, or one is in the other."""
    places = [PurePosixPath("/src", path) for path in paths]
    return len({*places}) < len(places) or any({*places} & {*place.parents} for place in places)
