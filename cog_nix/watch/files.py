"""Which files of a project have changed, and what that means for a model that runs."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import watchfiles

from cog_nix.build.nix_arguments import read_in_builds
from cog_nix.config import load_config, load_settings
from cog_nix.config.model import Settings
from cog_nix.errors import CogNixError
from cog_nix.project.ignore import IGNORE_FILE, Ignore
from cog_nix.resolve import inputs
from cog_nix.system.regular import read_bytes

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator

    from cog_nix.config.model import Project
    from cog_nix.report import Reporter

_QUIET_MS = 50
"""So long nothing has to change: editors write a file in several steps, and save several files at once."""
_MOST_MS = 400
"""After so long a change is told although others go on."""


@dataclass(frozen=True)
class Changes:
    """Files that have changed, relative to the project."""

    source: tuple[str, ...]
    """What the model is made of."""
    requirements: tuple[str, ...]
    """What its container was made from."""


class Watched:
    """A project that is watched.

    Args:
        project: which.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._root = os.path.realpath(project.root)
        self._names: set[str] = set()
        self._built: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self.built()

    def built(self) -> None:
        """Take what is there for what the container was made from."""
        self._built = self._told = self._digests()

    def changes(self, stop: threading.Event, reporter: Reporter) -> Iterator[Changes]:
        """Yield what changes, until the event is set.

        The system tells of changes (inotify(7)); where it cannot, files are looked at again and again.
        """
        try:
            yield from self._sorted(stop, polling=None)
        except OSError as error:
            reporter.warn(
                f"The system does not tell of changes of files ({error}): they are looked at again and again"
            )
            yield from self._sorted(stop, polling=True)

    def _sorted(self, stop: threading.Event, *, polling: bool | None) -> Iterator[Changes]:
        found = watchfiles.watch(
            self._root,
            step=_QUIET_MS,
            debounce=_MOST_MS,
            stop_event=stop,
            rust_timeout=500,
            force_polling=polling,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        for changed in found:
            sorted_ones = self.sort(path for _, path in changed)
            if sorted_ones.source or sorted_ones.requirements:
                yield sorted_ones

    def sort(self, paths: Iterable[str]) -> Changes:
        """Tell source from requirements; what is neither, or is as it was told last, is left out.

        Args:
            paths: absolute ones, of files that may be gone.
        """
        relative = {os.path.relpath(path, self._root) for path in paths}
        now = self._digests()
        named = now.keys() | self._told.keys()
        different = {name for name in named if now.get(name) != self._told.get(name)}
        self._told = now
        ignore, patterns = self._rules()
        source = {
            path
            for path in relative - named
            if (path.endswith(".py") or any(PurePosixPath(path).match(one) for one in patterns))
            and not ignore.ignored(path, is_dir=False)
        }
        # One that was changed back is told as well: what runs is then up to date again.
        return Changes(tuple(sorted(source)), tuple(sorted(different)))

    @property
    def outdated(self) -> tuple[str, ...]:
        """The files that differ from those that the container was made from."""
        named = self._told.keys() | self._built.keys()
        return tuple(sorted(name for name in named if self._told.get(name) != self._built.get(name)))

    def _rules(self) -> tuple[Ignore, tuple[str, ...]]:
        """Return what is no part of the image, and what restarts the model besides Python files."""
        settings, ignore = Settings(), Ignore(Path(self._root), ())
        with suppress(CogNixError):  # told when it is built
            ignore = Ignore.load(Path(self._root))
            settings = load_settings(self._project)
        return ignore, settings.serve.watch

    def _digests(self) -> dict[str, str]:
        """Return digests of the files that a container is made from, those that are there."""
        project = self._project
        with suppress(CogNixError, OSError, ValueError):  # as above; it goes by what was named before
            config = load_config(project)
            named = {*read_in_builds(project, config), *inputs.files(config.build.requirements)}
            self._names = named - {IGNORE_FILE}
        fixed = (project.config_path, project.settings_path, project.lock_path)
        names = self._names | {os.path.relpath(path, project.root) for path in fixed}
        found = {}
        for name in names:
            with suppress(OSError, ValueError):
                found[name] = hashlib.sha256(read_bytes(project.root / name)).hexdigest()
        return found
