"""Words of commands: which of them name a program."""

from __future__ import annotations

import re

from cog_nix.system.values import frozen

UNKNOWN = "\ufdd1"
"""Stands for a part of a text that only a run would tell (a code point that no text uses)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_IN_PATH = re.compile(r"/(?:usr/)?s?bin/([^/]+)")
_FOREIGN = (".bat", ".cmd", ".exe", ".py", ".sh")


@frozen
class Script:
    """A shell script that is started, by its path as it is written."""

    path: str


def program(word: str, *, anywhere: bool = True) -> str:
    """Return the name of the program that a word stands for, where a command has it; "" for none.

    A path is one in a folder where Debian's packages have programs; what has another is not looked for.
    """
    if UNKNOWN in word:
        return ""
    if found := _IN_PATH.fullmatch(word):
        word = found[1]
    elif not anywhere:
        return ""
    return word if _NAME.fullmatch(word) and not word.endswith(_FOREIGN) and not word.isdigit() else ""
