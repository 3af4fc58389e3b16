"""Is everything as it was when an image was built? Then it is still that image, and Nix need not be asked.

What a build went by is kept in ``.cog``, as Git keeps its index: files by what ``lstat`` says of them,
folders by the names in them. An equal answer means equal content because of two rules.

- The kernel alone sets a file's change time (``st_ctim``), at every write, rename and change of mode. Setting
  the time of modification back changes it as well.
- Nothing is kept of a build that saw a file change shortly before it began, or later: such a file could
  change again within the same tick of the clock, and nothing would tell. The file system's own clock counts,
  read before anything else is.

Everything else that a build depends on is part of the question: the options, the environment, Git's labels,
the code of cog-nix itself. What cannot be watched (overlays, packages from elsewhere, documents handed in) is
never kept. See docs/design/unchanged.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cog_nix.system.status import kind_of, status, unchanged_for_long

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cog_nix.system.status import Status

FOLDER = "builds"
"""Name of the folder in ``.cog`` that holds a file for each way of building."""

_FORMAT = 1
KEPT = 8
"""So many ways of building are remembered of a project."""

_NOISE = frozenset(
    {"_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL", "PYTEST_CURRENT_TEST", "STARSHIP_SESSION_KEY"}
    | {"SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "TERM_SESSION_ID", "TMUX", "TMUX_PANE", "WINDOWID"}
)
"""Variables that differ between terminals and mean nothing to a build."""

OWN_NAMES = frozenset({".cog", ".git", "cog-nix.lock", "cog-nix.nix", "cog-nix.toml"})
"""Names at a project's root that are no part of its source (:mod:`cog_nix.project.ignore`)."""


def clock(state: str) -> int | None:
    """Return the time of the project's file system in ns since 1970; None where nothing can be written.

    Args:
        state: ``.cog``, which is made.
    """
    path = f"{state}/clock"
    with suppress(OSError):
        return _touched(path)
    from pathlib import Path  # the clock of an earlier build is there, as a rule

    from cog_nix.errors import CogNixError
    from cog_nix.system import state as of_project

    with suppress(OSError, CogNixError):
        of_project.make_folder(Path(state))
        of_project.make_way(Path(path), stat.S_ISREG)
        return _touched(path, os.O_CREAT)
    return None


def _touched(path: str, flags: int = 0) -> int:
    """Change a file's times to now; return that in ns.

    Raises:
        OSError: it is not there, or no file.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o644)
    try:
        os.utime(descriptor)
        return os.fstat(descriptor).st_ctime_ns
    finally:
        os.close(descriptor)


def names(folder: str) -> list[str]:
    """Return what is in a folder, each name behind its kind: ``d`` folder, ``f`` file or link, ``-``."""
    with os.scandir(folder) as entries:
        return sorted(f"{kind_of(entry)}{entry.name}" for entry in entries)


def names_at_root(folder: str) -> list[str]:
    """Return what is at the root of a project, less what cog-nix itself puts there."""
    return [name for name in names(folder) if not _is_own(folder, name[1:])]


def _is_own(folder: str, name: str) -> bool:
    if name in OWN_NAMES or name.startswith(".cog-nix-"):  # the latter are being written
        return True
    if name != "result":
        return False
    try:
        return "/store/" in os.readlink(f"{folder}/{name}")  # noqa: PTH115 - text
    except OSError:
        return False


def tree(folder: str) -> list[Any]:
    """Return the status of all files below a folder of code, compiled Python left out."""
    found: list[Any] = []
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        found += [[f"{path}/{name}", status(f"{path}/{name}")] for name in sorted(files)]
    return found


def environment(variables: Mapping[str, str]) -> str:
    """Return a digest of the variables that a build may go by; some are secrets, so none is kept."""
    text = json.dumps(sorted(pair for pair in variables.items() if pair[0] not in _NOISE))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def machine() -> list[Any]:
    """Return who builds with what: the user, this Python, and the folders where its packages are."""
    here = os.getcwd()  # noqa: PTH109 - text
    found = [path for path in sys.path if path and path != here]
    return [os.geteuid(), sys.version, [[path, (status(path) or [])[1:]] for path in found]]


def root_name(link: str) -> str:
    """Return the name under which Nix registers a link to a result (``addPermRoot`` in its libstore)."""
    from cog_nix.store.paths import base32  # only who keeps something needs it

    return base32(hashlib.sha1(os.fsencode(link), usedforsecurity=False).digest())


def key(question: Mapping[str, Any]) -> str:
    """Return the name that a way of building has in ``.cog``."""
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:32]


def recall(state: str, name: str) -> dict[str, Any] | None:
    """Return what :func:`remember` kept, when all of it is still so."""
    try:
        kept = read(state, name)
        return kept["answer"] if same_sources(kept) and same_question(kept) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # as for what is not there


def read(state: str, name: str) -> dict[str, Any]:
    """Return what :func:`remember` kept, so or not.

    Raises:
        OSError: nothing is kept under this name.
        ValueError: it is damaged, or of another version.
    """
    with open(f"{state}/{FOLDER}/{name}", encoding="utf-8") as stream:  # noqa: PTH123 - text
        kept: dict[str, Any] = json.load(stream)
    if kept["format"] != _FORMAT:
        raise ValueError(kept["format"])
    return kept


def same_question(kept: Mapping[str, Any]) -> bool:
    """Tell whether Nix would be asked the same: everything is as it was but for what is in the source.

    Raises:
        OSError: something is gone.
    """
    root = kept["root"]
    return (
        names_at_root(root) == kept["names"]
        and all(names(f"{root}/{folder}") == found for folder, found in kept["folders"].items())
        and all(status(path, follow=True) == found for path, found in kept["read"].items())
        and all(tree(folder) == found for folder, found in kept["code"].items())
    )


def same_sources(kept: Mapping[str, Any]) -> bool:
    """Tell whether all that is taken into the image, and the image itself, are as they were.

    Raises:
        OSError: something is gone.
    """
    root = kept["root"]
    return (
        all(status(f"{root}/{path}") == found for path, found in kept["files"].items())
        and all(status(f"{root}/{path}", follow=True) == found for path, found in kept["sources"].items())
        and all(os.readlink(link) == target for link, target in kept["links"])  # noqa: PTH115 - text
        and all(os.path.lexists(path) for path in kept["present"])
    )


def renewed(
    kept: Mapping[str, Any],
    began: int,
    *,
    files: Mapping[str, Status | None],
    sources: Iterable[str],
    links: Mapping[str, str],
    present: Iterable[str],
) -> dict[str, Any] | None:
    """Return what a build went by that differs from an earlier one in the content of files alone.

    What is not looked at again stays as it was: if it has changed meanwhile, the next build sees that.

    Args:
        kept: what :func:`read` returned, and :func:`same_question` approved of.
        began: what :func:`clock` said before that.
        files: what those that it went by are now, looked at after that.
        sources: as for :meth:`Watch.seal`; so are the others.
        links: symbolic links that must lead where they lead now.
        present: paths that must be there.

    Returns:
        None when some of it changed too late to be sure.
    """
    root = kept["root"]
    device = os.stat(f"{root}/.cog").st_dev  # noqa: PTH116 - text
    read = {path: status(f"{root}/{path}", follow=True) for path in sources}
    certain = all(files.values()) and all(
        unchanged_for_long(found, began, device) for found in (*files.values(), *read.values())
    )
    changed = {"files": files, "sources": read, "links": sorted(links.items()), "present": list(present)}
    return {**kept, **changed} if certain else None


class Watch:
    """Collects what a build goes by, while it goes on.

    Args:
        root: the project.
        began: what :func:`clock` said before anything was read.
        state: the folder that it was told, whose file system's clock that is.
    """

    def __init__(self, root: str, began: int, state: str) -> None:
        self._root, self._began = root, began
        self._device = os.stat(state).st_dev  # noqa: PTH116 - text
        self._walked: dict[str, list[str]] = {}
        self._files: tuple[str, ...] = ()

    def walked(self, folders: Mapping[str, list[str]], files: Iterable[str]) -> None:
        """Take what the walk through the project found.

        Args:
            folders: names in each folder that was entered, as :func:`names` has them; ``""`` is the root.
            files: paths of what is taken.
        """
        self._walked, self._files = dict(folders), tuple(files)

    def seal(
        self,
        *,
        read: Iterable[str],
        sources: Iterable[str],
        code: Iterable[str],
        links: Mapping[str, str],
        present: Iterable[str],
    ) -> dict[str, Any] | None:
        """Return all that the build went by; None when some of it changed too late to be sure.

        Args:
            read: paths of other files that were read, or looked for in vain; links are followed.
            sources: the same of code of the model, relative to the project.
            code: folders of code that did the work.
            links: symbolic links that must lead where they lead now.
            present: paths that must be there.
        """
        files = {path: status(f"{self._root}/{path}") for path in self._files}
        below = {folder: found for folder, found in self._walked.items() if folder}
        kept = {
            "root": self._root,
            "names": [name for name in self._walked[""] if not _is_own(self._root, name[1:])],
            "folders": below,
            # Of folders, which change whenever a file comes or goes, only the names in them count.
            "files": {path: found for path, found in files.items() if not (found and stat.S_ISDIR(found[2]))},
            "read": {path: status(path, follow=True) for path in read},
            "sources": {path: status(f"{self._root}/{path}", follow=True) for path in sources},
            "code": {folder: tree(folder) for folder in code},
            "links": sorted(links.items()),
            "present": list(present),
        }
        return kept if all(self._certain(kept)) else None

    def _certain(self, kept: dict[str, Any]) -> Iterator[bool]:
        files: dict[str, Status | None] = kept["files"]
        yield all(found is not None for found in files.values())
        statuses = [*files.values(), *kept["read"].values(), *kept["sources"].values()]
        statuses += [status(f"{self._root}/{folder}") for folder in kept["folders"]]
        statuses += [found for folder in kept["code"].values() for _, found in folder]
        yield all(unchanged_for_long(found, self._began, self._device) for found in statuses)
        yield names_at_root(self._root) == kept["names"]


def remember(state: str, name: str, kept: dict[str, Any], answer: Mapping[str, Any]) -> None:
    """Keep what a build went by, and what came of it; a project that cannot be written to goes without.

    Args:
        state: ``.cog``.
        name: what :func:`key` returned.
        kept: what :meth:`Watch.seal` returned.
        answer: what :func:`recall` shall return.
    """
    from pathlib import Path  # only who builds needs it

    from cog_nix.errors import CogNixError
    from cog_nix.system import state as of_project

    folder = f"{state}/{FOLDER}"
    beside = f"{folder}/.{name}.{os.getpid()}"
    with suppress(OSError, CogNixError):
        of_project.make_folder(Path(folder))
        of_project.make_way(Path(folder) / name, stat.S_ISREG)
        with open(beside, "w", encoding="utf-8") as stream:  # noqa: PTH123 - text
            # Not json.dump, which does it in Python: there may be very many files.
            stream.write(json.dumps({**kept, "format": _FORMAT, "answer": answer}))
        os.replace(beside, f"{folder}/{name}")  # noqa: PTH105 - text
        _forget_old(folder)


def _forget_old(folder: str) -> None:
    """Leave the newest few files."""
    paths = [f"{folder}/{name}" for name in os.listdir(folder)]  # noqa: PTH208 - text
    paths.sort(key=lambda path: os.stat(path).st_mtime_ns, reverse=True)  # noqa: PTH116 - text
    for path in paths[KEPT:]:
        os.unlink(path)  # noqa: PTH108 - text
