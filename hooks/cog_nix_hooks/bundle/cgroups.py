"""The cgroups that this process is in: shown to containers, to read, and rid of what engines leave there.

A container sees its own part of each hierarchy, as in Docker, because programs read their limits there, and
nothing beside it. runc makes a cgroup for each container, and leaves it behind when it is killed.
"""

from __future__ import annotations

import errno
import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_PROC = Path("/proc/self")
_RECORD = "cgroups.json"
_EMPTY_SECONDS = 2
"""So long processes that were killed may take to be gone."""
_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Cgroup:
    """A cgroup of this process."""

    folder: Path
    name: str
    """Of its hierarchy's folder below :data:`ROOT`; empty where version 2 is there alone."""


def own(proc: Path = _PROC) -> list[Cgroup]:
    """Return the cgroups of this process, as they can be reached (cgroups(7), proc(5))."""
    paths = _paths(proc)
    found: dict[str, Cgroup] = {}
    with suppress(OSError):
        for line in (proc / "mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            before, _, after = line.partition(" - ")
            kind, _, options = [*after.split(" "), "", ""][:3]
            root, point = map(unescaped, [*before.split(" "), *[""] * 5][3:5])
            if kind not in {"cgroup", "cgroup2"} or not Path(point).is_relative_to(ROOT):
                continue
            belongs = "" if kind == "cgroup2" else frozenset(options.split(","))
            path = next((path for names, path in paths if _is_of(names, belongs)), None)
            if path is not None:
                name = str(Path(point).relative_to(ROOT)).removeprefix(".")
                found[point] = Cgroup(_below(Path(point), root, path), name)
    return list(found.values())


def record(folder: Path, name: str) -> None:
    """Note in a container's folder where its engine may make cgroups, before it does.

    runc makes them below this process's, and where version 2 is alone beside it.
    """
    places = {parent / name for one in own() for parent in (one.folder, one.folder.parent)}
    within = sorted(str(path) for path in places if path.is_relative_to(ROOT))
    (folder / _RECORD).write_text(json.dumps(within))


def remove(folder: Path) -> bool:
    """Remove the cgroups that were noted in a container's folder; return whether none is left."""
    try:
        noted = [Path(one) for one in json.loads((folder / _RECORD).read_text())]
    except (OSError, ValueError, TypeError):
        return True
    deadline = time.monotonic() + _EMPTY_SECONDS
    left = [path for path in noted if not _gone(path, deadline)]
    return not left


def _gone(path: Path, deadline: float) -> bool:
    while True:
        try:
            path.rmdir()
        except FileNotFoundError:
            return True
        except OSError as error:
            # A hierarchy that is not mounted here, or no longer, is not for us to tidy up.
            if error.errno != errno.EBUSY:
                return not path.exists()
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True


def _paths(proc: Path) -> list[tuple[frozenset[str], str]]:
    """Return controllers and path of each cgroup; version 2 has no controllers of its own."""
    found = []
    with suppress(OSError):
        for line in (proc / "cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            _, controllers, path = [*line.split(":", 2), "", ""][:3]
            found.append((frozenset(filter(None, controllers.split(","))), path))
    return found


def _is_of(names: frozenset[str], options: frozenset[str] | str) -> bool:
    return not names if isinstance(options, str) else bool(names) and names <= options


def _below(point: Path, root: str, path: str) -> Path:
    """Return where a cgroup's path is below a mount of this root; the mount, where it does not say."""
    with suppress(ValueError):
        found = point / Path(path).relative_to(root)
        if ".." not in found.parts and found.is_dir():
            return found
    return point


def unescaped(text: str) -> str:
    """Undo the escapes of mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
