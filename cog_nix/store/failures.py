"""What to tell a user when Nix fails: the cause in a sentence, the builder's own words, what to do next."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from cog_nix.errors import ConfigError, NixError
from cog_nix.namespaces import why_no_namespaces
from cog_nix.system import room

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 30
OURS = "cog-nix: "
"""What a line begins with in which a builder says itself why it fails."""

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
        r"(?:builder for|[Cc]annot build) '[^']*-cog-nix-seed-[0-9.]+\.drv'",
        "The builders' Python is not in this store yet.",
        "Run: cog-nix build   (it puts it there)",
    ),
)


class NotACacheError(ConfigError):
    """What is named is no binary cache, nor another store.

    Args:
        name: URL or folder, as the user has it.
        problem: what is wrong with it.
        hint: what to do next.
    """

    def __init__(self, name: object, problem: str, *, hint: str) -> None:
        super().__init__(hint=hint)
        self.name, self.problem = str(name), problem

    def __str__(self) -> str:
        return f"{self.name} {self.problem}."


class UnexpectedAnswerError(NixError):
    """Nix answers something that cannot be used.

    Args:
        reason: why it cannot.
    """

    def __init__(self, reason: object) -> None:
        super().__init__(hint="Run again with -v.")
        self.reason = str(reason)

    def __str__(self) -> str:
        return f"Nix's answer is not what was asked for: {self.reason}"


class NotObtainedError(NixError):
    """Caches did not bring what was asked for.

    Args:
        store_paths: what is not here.
        hint: what to do next.
    """

    _SHOWN = 5

    def __init__(self, store_paths: Sequence[str], *, hint: str) -> None:
        super().__init__(hint=hint)
        self.store_paths = tuple(store_paths)

    def __str__(self) -> str:
        names = [path.rpartition("/")[2] for path in self.store_paths]
        more = [f"and {len(names) - self._SHOWN} more"] if len(names) > self._SHOWN else []
        lines = "\n".join(f"  {one}" for one in [*names[: self._SHOWN], *more])
        return f"The cache does not have these, or nobody who is trusted has signed them:\n{lines}"


class NixFailedError(NixError):
    """A command of Nix failed.

    Args:
        sentence: what it comes to; may have several lines.
        said: Nix's error messages.
        log: what the failed builder printed.
        name: the failed derivation; None: no builder failed.
        hint: what to do next.
        shown: lines to show below the sentence.
    """

    def __init__(
        self,
        sentence: str,
        said: str,
        log: Sequence[str] = (),
        name: str | None = None,
        *,
        hint: str,
        shown: Sequence[str] = (),
    ) -> None:
        super().__init__(hint=hint)
        self.sentence, self.said, self.log, self.name, self._shown = sentence, said, log, name, shown

    def __str__(self) -> str:
        return "\n".join([self.sentence, *(f"  {line}" for line in self._shown)])


def explain(said: str, log: Sequence[str] = (), name: str | None = None) -> NixFailedError:
    """Return the error to raise for a failed Nix command.

    Args:
        said: Nix's error messages.
        log: what the failed builder printed, if a builder failed.
        name: the failed derivation.
    """
    failed = partial(NixFailedError, said=said, log=log, name=name)
    everything = "\n".join([said, *log])
    last = list(log[-_SHOWN:])
    shown = last or said.splitlines()
    # First: making a namespace where none is left says "No space left on device" as well (clone(2), ENOSPC).
    if re.search(_ISOLATION_FAILED, everything) and (obstacle := why_no_namespaces()):
        return failed(obstacle.message, hint=obstacle.remedy, shown=shown)
    for pattern, sentence, hint in _KNOWN:
        if re.search(pattern, everything):
            more = room.told() if pattern == _NO_ROOM else []
            return failed(sentence, hint=hint, shown=[*shown, *more])
    start = next((index for index, line in enumerate(log) if line.startswith(OURS)), None)
    if start is not None:
        sentence = "\n".join([log[start].removeprefix(OURS), *log[start + 1 :]])
        before = log[max(start - _SHOWN, 0) : start]
        sentence += "\nBefore that it printed:" if before else ""
        return failed(sentence, hint=_missing_files("\n".join(log)), shown=before)
    if name:
        # A builder on another machine may have printed nothing, because it was not started.
        sentence = f"Building {name} failed. {'The last it printed:' if last else 'Nix says:'}"
        return failed(sentence, hint="Run again with -v to see the whole log.", shown=shown)
    hint = "Run again with -v to see what it was doing."
    return failed("Nix failed:", hint=hint, shown=said.splitlines())


def _missing_files(text: str) -> str:
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
