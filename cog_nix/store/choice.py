"""Which Nix is used: the one that is named, this machine's where it is new enough, or cog-nix's own.

Asking a Nix for its version starts a process, so the answer is remembered for as long as the program is the
same.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cog_nix.errors import CogNixError, NixError
from cog_nix.system import jsonvalue
from cog_nix.system.files import write_atomically
from cog_nix.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Origin = Literal["named", "machine", "bundled"]

VARIABLE = "COG_NIX_NIX"
"""Names a folder of Nix's programs, or its ``nix-build``; or :data:`CONTAINER`."""
CONTAINER = "container"
"""Asks for a container wherever this is (:mod:`cog_nix.container`); ``container:podman`` names a runtime."""
OLDEST = (2, 8)
_PROGRAM = "nix-build"
PROFILES = (
    "/nix/var/nix/profiles/default/bin",
    "~/.nix-profile/bin",
    "~/.local/state/nix/profile/bin",
    "/run/current-system/sw/bin",
)
_VERSION = re.compile(r"(\d+)\.(\d+)\S*\s*$")
"""At the end of ``nix-build (Nix) 2.8.0`` and ``nix-build (Lix, like Nix) 2.91.1``."""
_NO_NIX = """\
Install it from your distribution (Debian, Ubuntu: apt-get install nix-bin; Fedora: dnf install nix;
Arch: pacman -S nix) or with the installer at nixos.org/download, then run this again.
Nothing needs to be configured: cog-nix finds out how to use it."""


@dataclass(frozen=True)
class Choice:
    """A folder with Nix's programs, and why it was taken."""

    bin_dir: Path
    origin: Origin
    passed_over: str = ""
    """What is the matter with this machine's Nix, in a sentence; "": nothing, or there is none."""


def choose(environment: Mapping[str, str], bring: Callable[[], Path | None] | None, cache: Path) -> Choice:
    """Choose a Nix.

    Args:
        environment: variables of the process.
        bring: returns the programs that come with cog-nix; None: there are none.
        cache: where versions are remembered.

    Raises:
        NixError: there is none and none can be fetched, or the one that is named is not good enough.
    """
    if named := environment.get(VARIABLE):
        return Choice(_named(Path(named).expanduser().absolute(), cache), "named")
    found = on_machine(environment)
    problem = found and problem_of(found, cache)
    if found and not problem:
        return Choice(found.parent, "machine")
    why = problem or "Nix is not installed: there is no nix-build on the PATH."
    try:
        bundled = bring and bring()
    except CogNixError as error:
        sentence = f"{why} cog-nix's own cannot be fetched: {error.message}"
        raise NixError(sentence, hint=f"{error.hint}\n{_NO_NIX}".strip()) from error
    if bundled:
        return Choice(bundled, "bundled", problem or "")
    raise NixError(why, hint=_NO_NIX)


def on_machine(environment: Mapping[str, str]) -> Path | None:
    """Return this machine's ``nix-build``, or None."""
    folders = [environment.get("PATH", ""), *(str(Path(folder).expanduser()) for folder in PROFILES)]
    found = shutil.which(_PROGRAM, path=os.pathsep.join(folders))
    return Path(found) if found else None


def problem_of(program: Path, cache: Path) -> str:
    """Return why a ``nix-build`` is not good enough, in a sentence; "": it is."""
    text = version(program, cache)
    found = _VERSION.search(text)
    if found is None:
        return f"{program} does not say its version: {text or 'it does not run'}."
    if (int(found[1]), int(found[2])) < OLDEST:
        return (
            f"{program} is Nix {found[0].strip()}, and cog-nix needs {'.'.join(map(str, OLDEST))} or newer."
        )
    return ""


def number(program: Path, cache: Path) -> tuple[int, int] | None:
    """Return the version of a ``nix-build`` as numbers; None when it does not tell.

    Args:
        program: its path.
        cache: where the answer is remembered.
    """
    found = _VERSION.search(version(program, cache))
    return (int(found[1]), int(found[2])) if found else None


def version(program: Path, cache: Path) -> str:
    """Return what a ``nix-build`` says of its version; "" when it does not run.

    Args:
        program: its path.
        cache: where the answer is remembered, by what tells one program from its successor.
    """
    memory = cache / "programs/versions.json"
    try:
        status = program.stat()
    except OSError:
        return ""
    key = f"{program.resolve()} {status.st_mtime_ns} {status.st_size}"
    known = _remembered(memory)
    if key not in known:
        try:
            known[key] = run([program, "--version"]).stdout.partition("\n")[0].strip()
        except CogNixError:
            return ""
        with suppress(CogNixError):  # a cache that cannot be written to is told where it matters
            write_atomically(memory, json.dumps(known).encode())
    return known[key]


def _named(path: Path, cache: Path) -> Path:
    program = path / _PROGRAM if path.is_dir() else path
    if not (program.with_name(_PROGRAM).is_file() and program.with_name("nix-store").is_file()):
        raise NixError(
            f"{VARIABLE} names {path}, where there is no nix-build with a nix-store beside it.",
            hint="Name the folder that holds Nix's programs, or its nix-build.",
        )
    if problem := problem_of(program.with_name(_PROGRAM), cache):
        raise NixError(problem, hint=f"{VARIABLE} names it: name a newer one, or none.")
    return program.parent


def _remembered(memory: Path) -> dict[str, str]:
    try:
        known = jsonvalue.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and all(isinstance(one, str) for one in known.values()) else {}
