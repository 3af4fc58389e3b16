"""``cog-nix build`` and ``push`` when nothing or little has changed, before the command line is put together.

A build that anything may have changed, whose flags are not among the few below, or that a plugin hears of
goes the usual way. So does everything that fails here: this module only says what the usual way would say.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cog_nix import __version__
from cog_nix.build import unchanged
from cog_nix.system.status import status as status_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SWITCHES = {
    "build": frozenset({"--load", "--no-load", "--out-link", "--no-out-link", "--update-lock"}),
    "push": frozenset({"--json", "--update-lock"}),
}
_WITH_VALUE = {
    "build": frozenset({"-t", "--tag", "-f", "--file", "--annotation", "--runtime", "--weights"}),
    "push": frozenset({"-f", "--file", "--annotation"}),
}
_TARGETS = {"build": 0, "push": 1}
"""So many arguments may be no options."""
NOT_HANDLED = ("BUILDKIT_PROGRESS", "COG_CA_CERT")
"""Variables with a meaning that is not looked into here."""
_SECONDS = 2.0
_FOUND = 200


def answer(arguments: Sequence[str]) -> tuple[int | None, str]:
    """Do what a command does of a project that is unchanged, or whose source alone has changed.

    Args:
        arguments: of the command line.

    Returns:
        The exit status; None: nothing was done. And the name under which what this command line does is
        remembered; empty: it is not.
    """
    began = time.monotonic()
    name = ""
    if not _is_plain(arguments) or any(map(os.environ.get, NOT_HANDLED)):
        return None, name
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        root = os.getcwd()  # noqa: PTH109 - text
        question = [
            __version__,
            root,
            list(arguments),
            unchanged.environment(os.environ),
            unchanged.machine(),
        ]
        name = unchanged.key({"command": question})
        state = f"{root}/.cog"
        command = unchanged.read(state, name)["answer"]
        kept = unchanged.read(state, command["build"])
        edited = not same_sources(kept)
        if not (_start_nix(kept, state) if edited else _is_as_it_was(kept, command)):
            return None, name
        if arguments[0] == "push":
            return _push(kept, command, edited=edited), name
        if edited:
            return _build_edited(kept, command, arguments, name, began), name
        if is_still_held(command):
            _tell(kept["answer"], command, began)
            return 0, name
    return None, name


def _is_plain(arguments: Sequence[str]) -> bool:
    command = arguments[0] if arguments else ""
    if command not in _SWITCHES:
        return False
    targets, rest = 0, iter(arguments[1:])
    for argument in rest:
        name, equals, _ = argument.partition("=")
        if argument in _WITH_VALUE[command]:
            next(rest, None)
        elif not argument.startswith("-"):
            targets += 1
        elif argument not in _SWITCHES[command] and not (equals and name in _WITH_VALUE[command]):
            return False
    return targets <= _TARGETS[command]


def _is_as_it_was(kept: Mapping[str, Any], command: Mapping[str, Any]) -> bool:
    """Tell whether the build is the same again, and ``./result`` leads to the image, where it did."""
    if not is_same_question(kept):
        return False
    link = f"{kept['root']}/result"
    return not command["linked"] or os.readlink(link) == kept["answer"]["image"]  # noqa: PTH115 - text


def is_still_held(command: Mapping[str, Any]) -> bool:
    """Tell whether a runtime holds the image that it held then, where one was asked at all."""
    if any(status_of(path, follow=True) != found for path, found in command["read"].items()):
        return False
    held = command["held"]
    if not all(map(os.path.exists, command["present"])):
        return False
    return not (held and held["socket"]) or _is_held(**held)


def same_sources(kept: Mapping[str, Any]) -> bool:
    """Tell whether the source is as it was, and nothing is gone."""
    try:
        return unchanged.same_sources(kept)
    except OSError:
        return False


def is_same_question(kept: Mapping[str, Any]) -> bool:
    """Tell whether everything but the source is as it was."""
    built = kept["answer"]
    return built["labels"] == _labels(kept["root"], built["annotations"]) and unchanged.same_question(kept)


def _start_nix(kept: Mapping[str, Any], state: str) -> bool:
    """Let Nix begin with what it was asked the last time; return whether it is asked that again."""
    clock = unchanged.clock(state)
    if clock is None:
        return False
    from cog_nix.store import ahead  # only after an edit

    ahead.start(kept["answer"]["command"], kept["answer"]["spec"], clock)
    try:
        if is_same_question(kept):
            return True
    except OSError:
        pass  # something is gone, so it is not
    ahead.stop()
    return False


def _build_edited(
    kept: Mapping[str, Any], command: Mapping[str, Any], arguments: Sequence[str], name: str, began: float
) -> int | None:
    """Build what differs in its source alone; return None where the usual way has to."""
    from cog_nix.cli import edited_build  # only after an edit
    from cog_nix.cli.edited import Edit
    from cog_nix.errors import CogNixError

    runtime = _given(arguments, "--runtime") or os.environ.get("COG_NIX_RUNTIME") or edited_build.AUTO
    with suppress(CogNixError):  # told by the usual way
        outcome = edited_build.build(
            Edit(kept, command["build"]),
            runtime if command["held"] else None,
            began,
            linked=command["linked"],
        )
        if outcome:
            outcome.remember(name)
            return 0
    return None


def _push(kept: Mapping[str, Any], command: Mapping[str, Any], *, edited: bool) -> int | None:
    """Push; return None where the usual way has to."""
    from cog_nix.cli import quick_push  # a build goes without
    from cog_nix.errors import CogNixError

    with suppress(CogNixError):  # told by the usual way
        return quick_push.push(kept, command, edited=edited)
    return None


def _given(arguments: Sequence[str], name: str) -> str:
    """Return the value of an option, the last one given."""
    found = ""
    for argument, after in zip(arguments, (*arguments[1:], ""), strict=True):
        if argument == name:
            found = after
        elif argument.startswith(f"{name}="):
            found = argument.partition("=")[2]
    return found


def _labels(root: str, annotations: Mapping[str, str]) -> dict[str, str]:
    above = root
    while not os.path.lexists(f"{above}/.git") and above != "/":
        above = os.path.dirname(above)  # noqa: PTH120 - text
    if above == "/" and not any(map(os.environ.get, ("GIT_DIR", "GITHUB_SHA", "GITHUB_REF_NAME"))):
        return dict(annotations)
    from pathlib import Path  # starting Git takes as long as everything else here

    from cog_nix.project import git

    return {**git.labels(Path(root)), **annotations}


def _is_held(id: str, socket: str, path: str) -> bool:  # noqa: A002 - the key's name
    """Ask a daemon whether it still has an image under its name; HTTP/1.0 ends with the answer."""
    from socket import AF_UNIX  # only who loads images needs it
    from socket import socket as new

    with new(AF_UNIX) as connection:
        connection.settimeout(_SECONDS)
        connection.connect(socket)
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        said = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, body = said.partition(b"\r\n\r\n")
    found: bool = int(head.split(None, 2)[1]) == _FOUND and json.loads(body)["Id"] == id
    return found


def _tell(built: Mapping[str, Any], command: Mapping[str, Any], began: float) -> None:
    from cog_nix.cli import outcome  # only where there is something to say
    from cog_nix.cli.terminal import TerminalReporter

    reporter = TerminalReporter()
    outcome.tell_start(reporter, built)
    if command["held"]:
        outcome.tell_loaded(reporter, built["tag"], built["size"], began)
    else:
        where = "./result" if command["linked"] else built["image"]
        outcome.tell_built(reporter, built["tag"], built["size"], began, where)
