"""dpkg's database where a build has more packages than the image (dpkg(1), Debian Policy 5).

A command runs beside compilers and tools that the image lacks, with all of them in dpkg's database, so that
apt does not install them again. What it installs goes into the image; packages of the build that were asked
for, or that what it installed needs, come along; the image's database names neither more nor less than the
image has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dpkg
from target import TARGET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

TRIGGERS = "var/lib/dpkg/triggers/File"
STATES = "var/lib/apt/extended_states"
ALTERNATIVES = "var/lib/dpkg/alternatives"

_NATIVE = (TARGET.debian, "all")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*")

Stanzas = dict[str, str]
"""Stanzas of a status file by package, in the file's order; ``name:arch`` for a foreign architecture."""


def stanzas(text: str) -> Stanzas:
    """Read a file of stanzas that begin with Package (deb822(5))."""
    found: Stanzas = {}
    for stanza in re.split(r"\n\n+", text):
        if name := field(stanza, "Package"):
            architecture = field(stanza, "Architecture")
            foreign = architecture and architecture not in _NATIVE
            found[f"{name}:{architecture}" if foreign else name] = stanza.strip("\n")
    return found


def text_of(kept: Iterable[str]) -> str:
    """Write stanzas."""
    return "".join(f"{stanza}\n\n" for stanza in kept)


def field(stanza: str, name: str) -> str:
    """Return a one-line field's value, or ""."""
    found = re.search(rf"^{name}: *(.*)$", stanza, re.MULTILINE)
    return found.group(1) if found else ""


def complete(image: Stanzas, build: Stanzas, now: Stanzas) -> Stanzas:
    """Return the status of the file system that a command runs in.

    Args:
        image: the image's, before any command ran.
        build: that of the image and the build's own packages.
        now: the image's after the commands so far.
    """
    own = {name: stanza for name, stanza in build.items() if name not in image and name not in now}
    return dict(sorted({**now, **own}.items()))


def as_automatic(packages: Iterable[str]) -> str:
    """Return apt's record that packages came along with others.

    apt takes a package out of it that somebody asks for by name, installed or not.
    """
    return "".join(
        f"Package: {name}\nArchitecture: {TARGET.debian}\nAuto-Installed: 1\n\n" for name in sorted(packages)
    )


@dataclass(frozen=True)
class Outcome:
    """What a command made of the packages."""

    kept: tuple[str, ...]
    """Packages that the image has from now on, in the status file's order."""
    promoted: frozenset[str]
    """Those of them that were the build's own until now."""
    hidden: frozenset[str]
    """The build's own packages, still."""


def outcome(before: Stanzas, after: Stanzas, now: Stanzas, states: str, *, upgrading: bool) -> Outcome:
    """Find out which packages belong to the image after a command.

    Args:
        before: status that the command found.
        after: status that it left.
        now: the image's part of ``before``.
        states: apt's ``extended_states`` as the command left it.
        upgrading: the command moves all packages, so that a newer one was not asked for.
    """
    own = before.keys() - now.keys()
    automatic = {
        name for name, stanza in stanzas(states).items() if field(stanza, "Auto-Installed").strip() == "1"
    }
    there = {name: stanza for name, stanza in after.items() if " installed" in field(stanza, "Status")}
    asked = {
        name
        for name in own & there.keys()
        if name not in automatic
        or (not upgrading and field(after[name], "Version") != field(before[name], "Version"))
    }
    kept = {name for name in after if name not in own} | asked
    kept |= _needed(kept - now.keys(), kept, there)
    ordered = tuple(name for name in after if name in kept)
    return Outcome(ordered, frozenset(kept & own), frozenset(own - kept))


def _needed(new: AbstractSet[str], kept: AbstractSet[str], there: Mapping[str, str]) -> set[str]:
    """Return the installed packages that ``new`` depend on and ``kept`` does not satisfy, and theirs."""
    providers: dict[str, list[str]] = {}
    for name, stanza in there.items():
        for provided in _NAME.findall(re.sub(r"\([^)]*\)", "", field(stanza, "Provides"))):
            providers.setdefault(provided, []).append(name)
    found: set[str] = set()
    pending = sorted(new)
    while pending:
        stanza = there.get(pending.pop(), "")
        for clause in _clauses(stanza):
            satisfying = [one for name in clause for one in (name, *providers.get(name, ())) if one in there]
            if satisfying and not any(one in kept or one in found for one in satisfying):
                found.add(satisfying[0])
                pending.append(satisfying[0])
    return found


def _clauses(stanza: str) -> Iterator[list[str]]:
    for name in ("Pre-Depends", "Depends"):
        for clause in field(stanza, name).split(","):
            if names := [found.group() for one in clause.split("|") if (found := _NAME.search(one))]:
                yield names


def records(root: Path, package: str) -> list[str]:
    """Return the paths of a package's files in dpkg's database."""
    listed = dpkg.info_file(root, package, "list")
    if listed is None:
        return []
    names = (path.name for path in listed.parent.iterdir())
    return sorted(
        f"{dpkg.INFO}/{name}" for name in names if name.startswith(listed.name.removesuffix("list"))
    )


def alternatives(root: Path, files: AbstractSet[str]) -> set[str]:
    """Return the paths that alternatives (update-alternatives(1)) of some files consist of."""
    found: set[str] = set()
    folder = root / "etc/alternatives"
    for link in sorted(folder.iterdir()) if folder.is_dir() else ():
        if link.is_symlink() and dpkg.merged(str(link.readlink()).lstrip("/")) in files:
            found.add(f"etc/alternatives/{link.name}")
            database = root / ALTERNATIVES / link.name
            if database.is_file():
                found.add(f"{ALTERNATIVES}/{link.name}")
                found |= set(_links(root, database.read_text()))
    return found


def _links(root: Path, database: str) -> Iterator[str]:
    for line in database.splitlines():
        path = root / line.lstrip("/")
        if line.startswith("/") and path.is_symlink() and "/etc/alternatives/" in str(path.readlink()):
            yield dpkg.merged(line.lstrip("/"))


def triggers(text: str, kept: AbstractSet[str]) -> str:
    """Return dpkg's list of file triggers with those of some packages only (deb-triggers(5))."""
    lines = [line for line in text.splitlines() if line.rpartition(" ")[2].partition("/")[0] in kept]
    return "".join(f"{line}\n" for line in lines)
