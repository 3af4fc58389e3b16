"""What a command's words start: a program, and what it starts in turn (``timeout 5 ffmpeg``, ``sh -c``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

UNKNOWN = "\ufdd1"
"""Stands for a part of a text that only a run would tell (a code point that no text uses)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_IN_PATH = re.compile(r"/(?:usr/)?s?bin/([^/]+)")
_SHELLS = frozenset({"bash", "dash", "sh", "zsh"})
_LOOK_UP = frozenset({"command", "hash", "type", "which"})
_FOREIGN = (".bat", ".cmd", ".exe", ".py", ".sh")
_VALUED: dict[str, str] = {
    "env": "CSu",
    "ionice": "cn",
    "nice": "n",
    "nohup": "",
    "setsid": "",
    "stdbuf": "eio",
    "sudo": "CgpTu",
    "time": "fo",
    "timeout": "ks",
    "exec": "a",
    "xargs": "EIILPdns",
    "xvfb-run": "efnps",
}
"""Programs that start another one, with their short options that take a value."""
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")


@frozen
class Script:
    """A shell script that is started, by its path as it is written."""

    path: str


def started(words: Sequence[str], *, anywhere: bool = True) -> Iterator[str | Script]:
    """Yield what a command starts.

    Args:
        words: of the command, with :data:`UNKNOWN` for what is not known.
        anywhere: whether the program is looked for in ``PATH``; otherwise only a path names one.
    """
    if not words:
        return
    first, rest = words[0], words[1:]
    if first.endswith(".sh") and UNKNOWN not in first:
        yield Script(first)
        return
    name = program(first, anywhere=anywhere)
    if not name:
        return
    yield name
    if name in _SHELLS:
        yield from _of_shell(rest)
    elif name in _LOOK_UP:
        yield from (found for word in rest if not word.startswith("-") and (found := program(word)))
    elif name in _VALUED:
        yield from started(_behind_options(name, rest))


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


def _of_shell(words: Sequence[str]) -> Iterator[str | Script]:
    from cog_nix.programs.shell import started_in  # noqa: PLC0415 - each needs the other

    for position, word in enumerate(words):
        if re.fullmatch(r"-[a-z]*c", word):
            if position + 1 < len(words):
                yield from (found for _, found in started_in(words[position + 1]))
            return
        if not word.startswith(("-", "+")):
            if word.endswith(".sh") and UNKNOWN not in word:
                yield Script(word)
            return


def _behind_options(name: str, words: Sequence[str]) -> Sequence[str]:
    """Return the words behind a program's options, where the next program begins."""
    position = 0
    while position < len(words):
        word = words[position]
        if word.startswith("--"):
            position += 1
            if word == "--":
                break
        elif word.startswith("-") and len(word) > 1:
            position += 1 + (len(word) == len("-x") and word[1] in _VALUED[name])
        elif name in {"env", "sudo"} and _ASSIGNMENT.match(word):
            position += 1
        else:
            break
    return words[position + (name == "timeout") :]
