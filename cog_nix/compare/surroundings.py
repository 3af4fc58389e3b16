"""What a second build may have otherwise: Nix, user, time zone, locale, umask, processors, order of files.

A builder that lets one of these into its result makes an image that nobody else gets.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import FlagError
from cog_nix.store import choice
from cog_nix.system.paths import cache_dir
from cog_nix.system.processes import ProcessError, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it are made under random names
"""A file system that lists a folder's files in the order in which they were made, unlike those on disks."""
_USER = 4711
_TIME_ZONE = "Pacific/Chatham"
"""45 minutes off, on the other side of the date line."""
_LOCALE = "tr_TR.ISO8859-9"
"""Where the capital of i is not I, and no text is UTF-8."""
_UMASK = 0o077
_NAME = "somebody"
"""What Nix is told that a user is called whom no file lists."""


@dataclass(frozen=True)
class Surroundings:
    """How one build is made; None: as here."""

    nix: Path | None = None
    """Folder of Nix's programs."""
    user: int | None = None
    """Number of a user in a namespace of its own, who is not root (user_namespaces(7))."""
    time_zone: str | None = None
    locale: str | None = None
    umask: int | None = None
    processors: int | None = None
    """How many it may use."""
    shuffled: bool = False
    """Whether files of the project are found in another order."""

    @property
    def title(self) -> str:
        """It in words: what is not as here."""
        return ", ".join(self._told()) or "as here, in another store and folder"

    def _told(self) -> Iterator[str]:
        if self.nix:
            yield version(self.nix) or f"Nix in {self.nix}"
        if self.user is not None:
            yield f"user {self.user}"
        if self.time_zone:
            yield f"TZ={self.time_zone}"
        if self.locale:
            yield f"LC_ALL={self.locale}"
        if self.umask is not None:
            yield f"umask {self.umask:03o}"
        if self.processors:
            yield f"{self.processors} processor{'' if self.processors == 1 else 's'}"
        if self.shuffled:
            yield "files in another order"

    def environment(self, here: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of the build, from those that are here."""
        found = dict(here)
        if self.nix:
            found[choice.VARIABLE] = str(self.nix)
        if self.user is not None:
            found.update(USER=_NAME, LOGNAME=_NAME)
        if self.time_zone:
            found["TZ"] = self.time_zone
        if self.locale:
            found.update(LC_ALL=self.locale, LANG=self.locale, LANGUAGE=self.locale)
        return found

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command line that starts a command so."""
        line = list(command)
        if self.umask is not None:
            line = ["sh", "-c", 'umask "$1" && shift && exec "$@"', "sh", f"{self.umask:03o}", *line]
        if self.processors:
            usable = sorted(os.sched_getaffinity(0))[: self.processors]
            line = ["taskset", "--cpu-list", ",".join(map(str, usable)), *line]
        if self.user is not None:
            mapped = [f"--map-user={self.user}", f"--map-group={self.user}"]
            line = ["unshare", "--user", *mapped, *line]
        return line


def version(folder: Path) -> str:
    """Return what a folder's Nix says of itself, ``Nix 2.26.3``; "" when it does not run."""
    found = choice.version(folder / "nix-build", cache_dir())
    return found.removeprefix("nix-build (").replace(") ", " ") if found else ""


def checked(asked: Surroundings) -> Surroundings:
    """Refuse what cannot be had on this machine.

    Raises:
        FlagError: with the reason.
    """
    for option, given, reason in (
        ("--user", asked.user is not None, _no_users()),
        ("--cpus", bool(asked.processors), _no_processors(asked.processors or 1)),
        ("--shuffle", asked.shuffled, _no_order()),
    ):
        if given and reason:
            raise FlagError(option, reason, hint="Leave it out, or verify on another machine.")
    if asked.nix and not (asked.nix / "nix-build").exists():
        raise FlagError(
            "--nix",
            "there is no nix-build.",
            str(asked.nix),
            hint="Name the folder that holds Nix's programs.",
        )
    if asked.time_zone and asked.time_zone.startswith("/"):
        raise FlagError("--time-zone", "expected a name.", asked.time_zone, hint="Such as Pacific/Chatham.")
    return asked


def everything(asked: Surroundings, nixes: Sequence[Path]) -> tuple[list[Surroundings], list[str]]:
    """Return a build for each Nix with what this machine can have otherwise; and what it cannot.

    Args:
        asked: what is decided already.
        nixes: further ones than the one that is used here.
    """
    lacking = {
        "user": _no_users(),
        "processors": _no_processors(1),
        "file order": _no_order(),
    }
    varied = replace(
        asked,
        user=asked.user if asked.user is not None or lacking["user"] else _USER,
        time_zone=asked.time_zone or _TIME_ZONE,
        locale=asked.locale or _LOCALE,
        umask=_UMASK if asked.umask is None else asked.umask,
        processors=asked.processors or (None if lacking["processors"] else 1),
        shuffled=not lacking["file order"],
    )
    # Two users of each Nix would double the time: who is not root builds with every other.
    builds = [
        replace(varied if number % 2 == 0 else replace(asked, umask=_UMASK), nix=nix)
        for number, nix in enumerate([asked.nix, *nixes])
    ]
    return builds, [f"{name}: {reason}" for name, reason in lacking.items() if reason]


def _no_users() -> str:
    """Return why a build cannot be another user's; "": it can."""
    if not shutil.which("unshare"):
        return "there is no unshare (util-linux)"
    try:
        run(["unshare", "--user", f"--map-user={_USER}", f"--map-group={_USER}", "true"])
    except ProcessError:
        return "this machine makes no user namespaces"
    return ""


def _no_processors(count: int) -> str:
    if not shutil.which("taskset"):
        return "there is no taskset (util-linux)"
    here = len(os.sched_getaffinity(0))
    return "" if count < here else f"there is no other number: this machine has {here}"


def _no_order() -> str:
    return "" if os.access(MEMORY, os.W_OK) else f"{MEMORY} cannot be written to"
