"""Why something is in an image: the way from a package back to whoever asked for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from cog_nix.config.legacy import sdk_for
from cog_nix.config.requirements import normalised
from cog_nix.errors import LockError, NotLockedError
from cog_nix.lock.reasons import Verb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cog_nix.lock.model import Deb, Lock, Wheel
    from cog_nix.lock.reasons import Reason

_SDK = ("cog", "coglet", "pip")
_INDENT = "  "
_SHOWN = 5
"""Names in the line about what else needs a package."""

_Roots = dict[str, str]
"""Packages that are there without another one's need, each with the sentence that says why."""


@dataclass(frozen=True)
class Asked:
    """What the project names, and where."""

    system: Mapping[str, str]
    """Place (``cog.yaml:7``) by name, as written."""
    python: Mapping[str, str]
    """Place by normalised name (PEP 503)."""
    starts: Mapping[str, str] = field(default_factory=dict)
    """Where the source starts a program first (``predict.py:12``), by the program's name."""
    always: tuple[str, ...] = ()
    """System packages that every image has."""


def explain(lock: Lock, name: str, asked: Asked) -> list[str]:
    """Tell why a package is in the image.

    Args:
        lock: of the image.
        name: of a system package or a Python package, a library's soname, or of the compiler for GPUs or a
            part of it (``nvcc``).
        asked: what the project names.

    Returns:
        Lines: what it is, then what needs it, up to what somebody asked for.

    Raises:
        LockError: there is no such thing in the lock; with the closest names.
    """
    debs = {deb.package: deb for deb in (*lock.build, *lock.installed)}
    wheels = {wheel.name: wheel for wheel in lock.wheels}
    lines: list[str] = []
    if name in debs:
        lines += _deb(lock, debs[name], asked)
    if normalised(name) in wheels:
        lines += _wheel(lock, wheels[normalised(name)], asked)
    lines += _toolkit(lock, name)
    if lines:
        return lines
    for reason in lock.reasons:
        if name == reason.wanted and reason.package in debs:
            kind = "program" if reason.verb is Verb.STARTS else "library"
            lines += [f"{name} is a {kind} of {reason.package}", *_deb(lock, debs[reason.package], asked)]
    if not lines:
        raise _unknown(name, [*debs, *wheels, *_parts(lock)])
    return lines


def all_reasons(lock: Lock, asked: Asked) -> dict[str, list[str]]:
    """Tell of every package why it is in the image, by member of a layer: ``deb:NAME``, ``wheel:NAME``."""
    debs = {f"deb:{deb.package}": _deb(lock, deb, asked) for deb in lock.installed}
    wheels = {f"wheel:{wheel.name}": _wheel(lock, wheel, asked) for wheel in lock.wheels}
    return {member: [line.strip() for line in lines[1:]] for member, lines in {**debs, **wheels}.items()}


def _deb(lock: Lock, deb: Deb, asked: Asked) -> list[str]:
    lines = [f"{deb.package} {deb.version} (Debian package)"]
    if deb not in lock.installed:
        return [*lines, f"{_INDENT}is there while the image is built, and not in the image"]
    depends = {each.package: each.depends for each in lock.installed}
    return [*lines, *_chain(deb.package, depends, _roots(lock, deb, asked))]


def _wheel(lock: Lock, wheel: Wheel, asked: Asked) -> list[str]:
    depends = {each.name: each.depends for each in lock.wheels}
    lines = [f"{wheel.name} {wheel.version} (Python package)"]
    lines += [_INDENT + reason.sentence for reason in lock.reasons if reason.package == wheel.name]
    return [*lines, *_chain(wheel.name, depends, _python_roots(lock, asked))]


def _parts(lock: Lock) -> dict[str, str]:
    """Return what the compiler for GPUs is made of: what each package is, by name."""
    if lock.toolkit is None:
        return {}
    parts = {deb.package: f"{deb.package} {deb.version} (Debian package)" for deb in lock.toolkit.debs}
    return parts | {
        wheel.name: f"{wheel.name} {wheel.version} (Python package)" for wheel in lock.toolkit.wheels
    }


def _toolkit(lock: Lock, name: str) -> list[str]:
    """Tell what the compiler for GPUs has of a name, and which builds see it."""
    if lock.toolkit is None:
        return []
    parts = _parts(lock)
    whole = name.casefold() in {lock.toolkit.name.casefold(), lock.toolkit.name.casefold().split()[0]}
    found = [text for part, text in parts.items() if name == part or name in part.split("-")]
    if not whole and not found:
        return []
    builds = [wheel.name for wheel in lock.wheels if wheel.source and wheel.source.device_code]
    seen = [*(["the commands of cog.yaml"] if lock.toolkit.commands else []), *builds]
    return [
        *([f"{lock.toolkit.name} (compiler for GPUs)", *parts.values()] if whole else found),
        f"{_INDENT}is there while the image is built, and not in the image",
        f"{_INDENT}{lock.toolkit.name} is seen by {', '.join(seen)}",
    ]


def _python_roots(lock: Lock, asked: Asked) -> Iterator[_Roots]:
    yield {name: f"{name} is asked for in {place}" for name, place in asked.python.items()}
    yield {name: f"{name} is in every image: the Cog SDK and pip{_why_old(lock, name)}" for name in _SDK}
    yield {reason.package: reason.sentence for reason in lock.reasons}
    yield {wheel.name: f"{wheel.name} is asked for" for wheel in lock.wheels}


def _why_old(lock: Lock, name: str) -> str:
    """Return why an SDK is not of today: the Python that it is for."""
    version = lock.interpreter.version
    if name != "cog" or sdk_for(version) is None:
        return ""
    python = ".".join(version.split(".")[:2])
    return f"; it is the last that runs on Python {python} ([python] legacy in cog-nix.toml)"


def _roots(lock: Lock, deb: Deb, asked: Asked) -> Iterator[_Roots]:
    """Yield groups of roots, the ones that explain best first."""
    always = {name: f"{name} is in every image: base system" for name in asked.always}
    executable = PurePosixPath(lock.interpreter.executable).name
    python = {executable: f"{executable} is the image's interpreter, Python {lock.interpreter.version}"}
    named = {name: f"{name} is asked for in {place}" for name, place in asked.system.items()}
    added = {reason.package: "\n".join(_because(lock, reason, asked)) for reason in lock.reasons}
    if deb in lock.base:
        yield from (always, python, named, added)
    elif deb in lock.python:
        yield from (python, {deb.package: f"{deb.package} comes with the interpreter"})
    else:
        yield from (named, added, python, always)
    essential = "is essential in Debian, and comes with system packages"
    yield {each.package: f"{each.package} {essential}" for each in lock.essential}
    yield {each.package: f"{each.package} is part of the base system" for each in lock.base}
    yield {
        each.package: f"{each.package} is asked for" for each in (*lock.system, *lock.libraries, *lock.linked)
    }


def _because(lock: Lock, reason: Reason, asked: Asked) -> list[str]:
    """Return the lock's sentence, and why who asks is there: a Python package, or a name in cog.yaml."""
    sentence, wanted = reason.sentence, reason.wanted
    if reason.verb is Verb.ASKED and wanted in asked.system:
        return [f"{sentence} in {asked.system[wanted]}"]
    if reason.verb is Verb.STARTS and wanted in asked.starts:
        return [f"{asked.starts[wanted]} starts {wanted}"]
    depends = {each.name: each.depends for each in lock.wheels}
    if reason.origin.package not in depends:
        return [sentence]
    chain = _chain(reason.origin.package, depends, _python_roots(lock, asked), also=False)
    return [sentence, *(line.strip() for line in chain)]


def _chain(
    name: str, depends: Mapping[str, Sequence[str]], groups: Iterator[_Roots], *, also: bool = True
) -> list[str]:
    """Return the lines from a package to the nearest root of the first group that leads to it."""
    needed_by = _reversed(depends)
    for roots in groups:
        way = _way(name, needed_by, roots)
        if way:
            steps = [f"{needy} needs {needed}" for needed, needy in pairwise(way)]
            lines = [*steps, *roots[way[-1]].split("\n")]
            needy = sorted(each for each in depends if name in depends[each] and each not in way)
            if also and needy:
                more = f" and {len(needy) - _SHOWN} more" if len(needy) > _SHOWN else ""
                lines.append(f"also needed by {', '.join(needy[:_SHOWN])}{more}")
            return [_INDENT + line for line in lines]
    return []


def _reversed(depends: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return what needs each package, sorted."""
    found: dict[str, list[str]] = {}
    for needy in sorted(depends):
        for needed in depends[needy]:
            found.setdefault(needed, []).append(needy)
    return found


def _way(name: str, needed_by: Mapping[str, Sequence[str]], roots: _Roots) -> list[str]:
    """Return the shortest way up from a package to a root, both ends included; nothing when there is none."""
    came_from: dict[str, str] = {name: ""}
    pending = deque([name])
    while pending:
        one = pending.popleft()
        if one in roots:
            way = [one]
            while came_from[way[-1]]:
                way.append(came_from[way[-1]])
            return way[::-1]
        for needy in needed_by.get(one, ()):
            if needy not in came_from:
                came_from[needy] = one
                pending.append(needy)
    return []


def _unknown(name: str, known: list[str]) -> LockError:
    close = get_close_matches(name, known) or sorted(each for each in known if name in each)[:3]
    return NotLockedError(
        name,
        hint=f"Did you mean {' or '.join(close)}?"
        if close
        else "`cog-nix lock --explain` takes the name of a Debian package, a Python package or a library.",
    )
