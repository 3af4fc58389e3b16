"""What can run containers here, and why not: one decision, which everything else asks.

Engines differ in what they put up with (crun up to 1.21 refuses to start where both versions of cgroups are
mounted), and so do machines. So nothing is concluded from versions or files: a container in which nothing
happens is started, and what worked is remembered for as long as the machine runs and its programs stay.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from cog_nix import __version__
from cog_nix.errors import CogNixError
from cog_nix.namespaces import mounts_as_root, why_no_namespaces
from cog_nix.namespaces.causes import Obstacle
from cog_nix.system import jsonvalue
from cog_nix.system.boot import circumstances
from cog_nix.system.files import write_atomically
from cog_nix_hooks.bundle import probe, rootfs
from cog_nix_hooks.bundle.layers import private
from cog_nix_hooks.bundle.programs import ENGINES, program
from cog_nix_hooks.bundle.rootfs import Isolation

if TYPE_CHECKING:
    from cog_nix_hooks.bundle.programs import Programs

_NEEDED = ("setpriv", "unshare", "mount", "tar")
_HIDDEN = ("", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")
"""What an engine does not see, tried in this order: containers are in no cgroup of their own."""
_PACKAGES = {"crun": "crun", "runc": "runc", "bwrap": "bubblewrap"}
"""Debian's, which bring the engines."""
_MEMORY = "engine.json"
_UNKNOWN = "Run it as another user, or on another machine."
_MOUNTS = Path("/proc/self/ns/mnt")


@dataclass(frozen=True)
class Engine:
    """What runs containers here."""

    path: str
    isolation: Isolation


@dataclass(frozen=True)
class Missing:
    """Programs that are not here."""

    programs: tuple[str, ...]
    remedy: ClassVar[str] = "sudo apt-get install util-linux mount tar"

    @property
    def message(self) -> str:
        """What is missing, in a sentence."""
        return f"A container cannot be started without {', '.join(self.programs)}, which are not installed."


@dataclass(frozen=True)
class NoEngine:
    """None of the engines is here."""

    remedy: ClassVar[str] = "sudo apt-get install crun"
    message: ClassVar[str] = "None of crun, runc and bubblewrap is installed."


@dataclass(frozen=True)
class Refuses:
    """An engine that is here and starts nothing."""

    path: str
    said: str

    @property
    def message(self) -> str:
        """Which engine, and its words."""
        return f"{Path(self.path).name} starts no container here: {self.said}"

    @property
    def remedy(self) -> str:
        """The other engines."""
        others = (_PACKAGES[name] for name in ENGINES if name != Path(self.path).name)
        return f"sudo apt-get install {' '.join(others)}"


@dataclass(frozen=True)
class NotProvided:
    """cog-nix would bring an engine, and cannot."""

    message: str
    remedy: str


Reason = Missing | NoEngine | Refuses | Obstacle | NotProvided


def decide(root: Path, programs: Programs, named: str | None = None) -> Engine | tuple[Reason, ...]:
    """Return what runs containers here, or why nothing does.

    Args:
        root: the runtime's folder.
        programs: where programs are, and who brings some; those are the last that are tried.
        named: path of an engine that was chosen already.
    """
    private(root)
    private(root / "containers")
    key = _circumstances(named)
    if remembered := _remembered(root, key):
        return remembered
    reasons: list[Reason] = []
    found = _search(root / "containers", programs, named, reasons)
    if found is None:
        return tuple(reasons)
    _remember(root, key, found)
    return found


def _search(containers: Path, programs: Programs, named: str | None, reasons: list[Reason]) -> Engine | None:
    """Try what the machine has, then what cog-nix provides, unless what stops the first stops that too."""
    if missing := tuple(name for name in _NEEDED if not program(name)):
        reasons.append(Missing(missing))
    else:
        engines = [named] if named else [*filter(None, map(program, ENGINES))]
        if found := _first_that_works(containers, engines, Isolation(), reasons):
            return found
    if named or any(isinstance(reason, Obstacle) for reason in reasons):
        return None
    try:
        folder = programs.provided
    except CogNixError as error:
        reasons.append(NotProvided(f"cog-nix's own cannot be fetched: {error.message}", error.hint))
        return None
    if folder is None:
        return None
    isolation = Isolation(*(programs.path(name) for name in ("setpriv", "unshare", "mount")))
    engines = [str(folder / name) for name in ENGINES if (folder / name).exists()]
    return _first_that_works(containers, engines, isolation, reasons)


def _first_that_works(
    containers: Path, engines: list[str], isolation: Isolation, reasons: list[Reason]
) -> Engine | None:
    if refused := rootfs.failure(isolation):
        unknown = Obstacle("unknown", f"Mounts cannot be made here: {refused}", _UNKNOWN)
        reasons[:] = [why_no_namespaces() or unknown]  # nothing else matters then
        return None
    if not engines:
        reasons.append(NoEngine())
    for path in engines:
        found = _tried(path, isolation, containers)
        if isinstance(found, Engine):
            return found
        reasons.append(found)
    return None


def _tried(path: str, isolation: Isolation, containers: Path) -> Engine | Refuses:
    """Return an engine that starts containers when it does not see something, or its words."""
    said = ""
    for hidden in _HIDDEN:
        if hidden and not Path(hidden).is_dir():
            continue
        tried = replace(isolation, hidden=hidden, guarded=_exposed(path))
        why = probe.failure(path, tried, containers)
        if why is None:
            return Engine(path, tried)
        said = said or why
    return Refuses(path, said)


def _exposed(path: str) -> str:
    """Return the folder of what a container may get hold of as its ``/proc/self/exe``; "": nothing.

    crun and runc run as copies of themselves, so that no container can write to their programs by that link.
    bubblewrap does not. What cog-nix brings is started by a launcher, through a dynamic loader of its own.
    """
    program = Path(path).resolve()
    if program.name != "bwrap":
        return ""
    provided = program.parents[1]
    return str(provided if (provided / "programs").is_dir() else program.parent)


def _circumstances(named: str | None) -> str:
    """Return what an answer holds for."""
    seen: list[object] = [__version__, named, mounts_as_root()]
    with suppress(OSError):
        seen.append(str(_MOUNTS.readlink()))
    return json.dumps([*seen, *circumstances((named, *map(program, (*ENGINES, *_NEEDED))))])


def _remembered(root: Path, key: str) -> Engine | None:
    try:
        known = jsonvalue.loads((root / _MEMORY).read_bytes())
        found = Engine(known["path"], Isolation(**known["isolation"])) if known["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found and Path(found.path).exists() else None


def _remember(root: Path, key: str, found: Engine) -> None:
    with suppress(CogNixError, OSError):  # the next start tries again
        write_atomically(root / _MEMORY, json.dumps({"key": key, **asdict(found)}).encode(), 0o600)
