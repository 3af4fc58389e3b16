"""What to tell a user when Nix fails: the cause in a sentence, the builder's own words, what to do next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix.errors import NixError
from cog_nix.namespaces import why_no_namespaces
from cog_nix.system import room

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 30
_OURS = "cog-nix: "

_ISOLATION_FAILED = (
    r"(?:kernel|mount) namespace|user namespaces are not|unshare.*: Operation|mounting /proc|cloning builder"
    r"|setgroups failed|unable to start build process"
)

_NO_ROOM = r"No space left on device|disk (?:is )?full|not enough space"

_MODULE = re.compile(
    r"No package '([^']+)' found|Package '?([\w.+-]+?)'? was not found in the pkg-config search path"
    r"|Package '([^']+)', required by 'virtual:world', not found"
)
"""What pkg-config(1) and pkgconf(1) say of a library that is not there."""
_HEADER = re.compile(r"fatal error: ([\w./+-]+\.h(?:pp)?): No such file or directory")
"""What GCC and Clang say of a header."""
_FILES = 5

_KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        _NO_ROOM,
        "The disk is full.",
        "Free some space (nix-collect-garbage removes what no project uses), then run this again.",
    ),
    (
        r"'/nix[^']*': Permission denied|cannot open [^']*/nix/[^']*: Permission denied",
        "This user may not write to the Nix store.",
        "Set COG_NIX_STORE to a folder of your own, or start the Nix daemon.",
    ),
    (
        r"cannot connect to (?:socket|daemon)",
        "The Nix daemon does not answer.",
        "Start it (systemctl start nix-daemon), or set COG_NIX_STORE to a folder of your own to do without.",
    ),
    (
        r"cannot figure out user name",
        "Nix needs a name for this user, whom /etc/passwd does not list.",
        "Give any:  export USER=me",
    ),
    (
        r"hash mismatch in fixed-output derivation",
        "A file that Nix fetched is not what the lock says.",
        "Its server changed it. Run: cog-nix lock --upgrade",
    ),
    (
        r"The seed is not in this store|cog-nix-seed-[0-9.]+\.drv' failed",
        "The builders' Python is not in this store yet.",
        "Run: cog-nix build   (it puts it there)",
    ),
)


def explain(said: str, log: Sequence[str] = (), name: str | None = None) -> NixError:
    """Return the error to raise for a failed Nix command.

    Args:
        said: Nix's error messages.
        log: what the failed builder printed, if a builder failed.
        name: the failed derivation.
    """
    ours = [line.removeprefix(_OURS) for line in log if line.startswith(_OURS)]
    everything = "\n".join([said, *log])
    # First: making a namespace where none is left says "No space left on device" as well (clone(2), ENOSPC).
    if re.search(_ISOLATION_FAILED, everything) and (obstacle := why_no_namespaces()):
        return NixError(
            f"{obstacle.message}\n{_indented(_tail(log) or said.splitlines())}", hint=obstacle.remedy
        )
    for pattern, sentence, hint in _KNOWN:
        if re.search(pattern, everything):
            more = room.told() if pattern == _NO_ROOM else []
            return NixError(
                f"{sentence}\n{_indented([*(_tail(log) or said.splitlines()), *more])}", hint=hint
            )
    if ours:
        start = next(index for index, line in enumerate(log) if line.startswith(_OURS))
        return NixError(_ours(list(log), start), hint=_lacking("\n".join(log)))
    if name:
        return NixError(
            f"Building {name} failed. The last it printed:\n{_indented(_tail(log))}",
            hint="Run again with -v to see the whole log.",
        )
    return NixError(
        f"Nix failed:\n{_indented(said.splitlines())}", hint="Run again with -v to see what it was doing."
    )


def _lacking(text: str) -> str:
    """Return what to do where a build from source misses another library's files; "" for anything else."""
    modules = [name for found in _MODULE.findall(text) for name in found if name]
    headers = _HEADER.findall(text)
    files = list(dict.fromkeys([*(f"{name}.pc" for name in modules), *headers]))
    if not files:
        return ""
    package = f"{modules[0] if modules[0].startswith('lib') else f'lib{modules[0]}'}-dev" if modules else ""
    shown = f", perhaps {package}" if package else ""
    return (
        f"It needs {', '.join(files[:_FILES])} of another library. Add the Debian package that has it to"
        f" system_packages (apt-file search {files[0]}{shown}), then run: cog-nix lock\n"
        "Or take a version of the package that has a wheel for this Python."
    )


def _ours(log: list[str], start: int) -> str:
    """Return a builder's own sentence, which may have several lines, and what another tool said before it."""
    message = "\n".join([log[start].removeprefix(_OURS), *log[start + 1 :]])
    before = _tail(log[:start])
    return f"{message}\nBefore that it printed:\n{_indented(before)}" if before else message


def _tail(log: Sequence[str]) -> list[str]:
    return list(log[-_SHOWN:])


def _indented(lines: Sequence[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)
