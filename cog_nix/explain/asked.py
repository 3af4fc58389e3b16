"""Who asked for what is in an image: the project, line by line, or every image.

A package counts for the nearest one that somebody asked for; what every image has is nobody's wish. The
lock of the project knows the lines and the reasons. Without it the image tells: its packages' dependencies,
and the ``cog.yaml`` in its label.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cog_nix.config.requirements import normalised
from cog_nix.lock.dependencies import with_dependencies
from cog_nix.lock.reasons import Verb
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cog_nix.explain.owners import Databases
    from cog_nix.lock.explain import Asked
    from cog_nix.lock.model import Lock
    from cog_nix.lock.reasons import Reason
    from cog_nix.plugins.spec import SystemDatabase, SystemFacts

BASE = "every image: the base system"
SDK = "every image: Cog's SDK and pip"
PYTHON = "every image: Python"
SOURCE = "the project: its files"
UNKNOWN = "nobody that is known"
_SDK = ("cog", "coglet", "pip", "setuptools", "wheel")
_CONFIG = "run.cog.config"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_EXTRA = re.compile(r"\bextra\s*==")


@dataclass(frozen=True)
class Way:
    """How a package came into an image."""

    asker: str
    """Who asked, in a few words."""
    chain: tuple[str, ...] = ()
    """Keys from the package that was asked for to this one, both included."""


@dataclass(frozen=True)
class Needs:
    """Which packages an image has because of which."""

    depends: Mapping[str, Sequence[str]]
    """What each package depends on: keys by key."""
    roots: Sequence[Mapping[str, str]]
    """Who asked, by the key of what they asked for; in groups, of which the first that leads to a package
    explains it."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Who asked for what has no dependencies: by kind of owner (``project``), or by key."""

    def ways(self) -> dict[str, Way]:
        """Return how each package came in."""
        found: dict[str, Way] = {}
        for group in self.roots:
            pending = deque(key for key in group if key not in found)
            found |= {key: Way(group[key], (key,)) for key in pending}
            while pending:
                key = pending.popleft()
                for other in self.depends.get(key, ()):
                    if other not in found:
                        found[other] = Way(found[key].asker, (*found[key].chain, other))
                        pending.append(other)
        return found

    def alone(self, asker: str) -> set[str]:
        """Return the packages that nobody else needs: what goes when an asker's wish goes."""
        mine = {key for group in self.roots for key, who in group.items() if who == asker}
        others = {key for group in self.roots[:-1] for key, who in group.items() if who != asker}
        return with_dependencies(mine, self.depends) - with_dependencies(others, self.depends)


def by_lock(lock: Lock, asked: Asked, facts: SystemFacts, database: SystemDatabase) -> Needs:
    """Return who asked, as the lock and the project say.

    Args:
        lock: of the image.
        asked: what the project names, and where.
        facts: of its system packages.
        database: of these.
    """
    kind = database.kind
    essential = f"{facts.name}'s essential packages, which come with system packages"
    depends = {f"{kind}:{one.package}": _keys(kind, one.depends) for one in lock.installed}
    depends |= {f"python:{one.name}": _keys("python", one.depends) for one in lock.wheels}
    python = {f"python:{name}": f"{name} is asked for in {place}" for name, place in asked.python.items()}
    named = {f"{kind}:{name}": f"{name} is asked for in {place}" for name, place in asked.system.items()}
    roots = [
        {f"{kind}:{name}": BASE for name in asked.always},
        {f"{kind}:{one.package}": BASE for one in lock.base},
        {f"{kind}:{one.package}": PYTHON for one in lock.python},
        named,
        python,
        {f"python:{name}": SDK for name in _SDK},
        {f"{kind}:{one.package}": essential for one in lock.essential},
    ]
    needs = Needs(depends, roots)
    python_ways = needs.ways()
    added: dict[str, str] = {}
    for reason in lock.reasons:
        origin = python_ways.get(f"python:{reason.origin.package}")
        who = origin.asker if origin else _reason(reason, asked)
        for key in (f"{kind}:{reason.package}", f"python:{reason.package}"):
            if key in depends:
                added.setdefault(key, who)
    rest = {key: f"{key.partition(':')[2]} is asked for" for key in depends}
    known = {key for group in (*roots, added) for key in group}
    reached = with_dependencies(known, depends)
    more = {
        "project": SOURCE,
        "interpreter": PYTHON,
        "other": _written(database),
        **{
            f"command:command {number}": f"command {number} of cog.yaml: {run.command}"
            for number, run in enumerate(lock.runs, 1)
        },
        "nix": ", ".join(one.reference for one in lock.packages) or UNKNOWN,
    }
    return Needs(
        depends, (*roots, added, {key: who for key, who in rest.items() if key not in reached}), more
    )


def _reason(reason: Reason, asked: Asked) -> str:
    """Return why a package is there that no Python package wants, with the place where that stands."""
    if reason.verb is Verb.ASKED and reason.wanted in asked.system:
        return f"{reason.sentence} in {asked.system[reason.wanted]}"
    if reason.verb is Verb.STARTS and reason.wanted in asked.starts:
        return f"{asked.starts[reason.wanted]} starts {reason.wanted}"
    return reason.sentence


def _written(database: SystemDatabase) -> str:
    return f"every image: what {database.program} and its scripts wrote"


def _keys(kind: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{kind}:{name}" for name in names)


def by_image(databases: Databases, labels: Mapping[str, str]) -> Needs:
    """Return who asked, as an image says.

    Args:
        databases: its packages.
        labels: its labels.
    """
    config = _config(labels)
    build = jsonvalue.members(config.get("build"))
    system, python = databases.system, databases.distributions
    kind = databases.database.kind
    depends: dict[str, tuple[str, ...]] = {
        f"{kind}:{name}": _keys(kind, one.depends) for name, one in system.items()
    }
    depends |= {
        f"python:{name}": _keys("python", _required(one.requires, python.keys()))
        for name, one in python.items()
    }
    named = {str(one).partition("=")[0] for one in jsonvalue.items(build.get("system_packages"))}
    asked, place = _python_asked(databases, build)
    roots = [
        {f"{kind}:{name}": BASE for name, one in system.items() if one.is_base},
        {f"{kind}:{name}": f"{name} is asked for in cog.yaml" for name in sorted(named & system.keys())},
        {f"python:{name}": f"{name} is asked for in {place}" for name in asked if name in python},
        {f"python:{name}": SDK for name in _SDK if name in python},
        {f"{kind}:{name}": PYTHON for name, one in system.items() if one.is_python},
    ]
    reached = with_dependencies((key for group in roots for key in group), depends)
    rest = {key: UNKNOWN for key in depends if key not in reached}
    runs = [
        one.get("command", "") if isinstance(one, dict) else str(one)
        for one in jsonvalue.items(build.get("run"))
    ]
    more = {
        "project": SOURCE,
        "interpreter": PYTHON,
        **({"other": _written(databases.database)} if system else {}),
        **{
            f"command:command {number}": f"command {number} of cog.yaml: {run}"
            for number, run in enumerate(runs, 1)
        },
    }
    return Needs(depends, (*roots, rest), more)


def _config(labels: Mapping[str, str]) -> dict[str, Any]:
    try:
        return jsonvalue.members(jsonvalue.loads(labels.get(_CONFIG, "{}")))
    except ValueError:
        return {}


def _python_asked(databases: Databases, build: Any) -> tuple[list[str], str]:
    """Return the Python packages that a project names, and where."""
    lines, place = list(map(str, jsonvalue.items(build.get("python_packages")))), "cog.yaml"
    file = build.get("python_requirements")
    if isinstance(file, str):
        text = databases.files.get(f"src/{file}", b"").decode("utf-8", "replace")
        lines, place = text.splitlines(), file
    names = [normalised(found[0]) for line in lines if (found := _NAME.match(line.strip()))]
    return list(dict.fromkeys(names)), place


def _required(requires: Iterable[str], installed: Iterable[str]) -> list[str]:
    """Return the installed distributions that one requires; those of its extras are not counted."""
    here = set(installed)
    names = (
        normalised(found[0])
        for one in requires
        if not _EXTRA.search(one.partition(";")[2]) and (found := _NAME.match(one))
    )
    return [name for name in dict.fromkeys(names) if name in here]
