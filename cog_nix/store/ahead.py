"""A head start for Nix: it begins while Python still imports what the rest of a build needs.

After an edit the last build's command fits again, as a rule. Whoever knows the command starts it; the build
takes over what runs when it comes to the same command, and ends it when it comes to another.
"""

from __future__ import annotations

import atexit
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from cog_nix.system import scratch, warden
from cog_nix.system.child import Child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from cog_nix.system.child import Process


class Values:
    """A file of values for Nix, in a folder that is there until this is closed.

    Nix has its own temporary files there as well, the folders of builds among them, because a Nix that is
    killed leaves them.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._folder = scratch.reserve_text(warden.folder_kind())
        os.mkdir(self._folder, mode=0o711)  # noqa: PTH102 - text; a builder may be another user
        self._file = f"{self._folder}/spec.json"
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
            stream.write(json.dumps(spec))

    def arguments(self) -> list[str]:
        """Return those that name the file to Nix."""
        return ["--argstr", "spec", self._file]

    def environment(self) -> dict[str, str]:
        """Return the environment that Nix is started in."""
        return {**os.environ, "TMPDIR": self._folder}

    def close(self) -> None:
        """Remove the folder."""
        scratch.release_text(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Started(NamedTuple):
    process: Process
    command: tuple[str, ...]
    spec: str
    file: Values


_started: list[_Started] = []
_began: list[int] = []


def start(command: Sequence[str], spec: Mapping[str, Any], clock: int) -> None:
    """Start a command of Nix with a file of values, as :func:`take` will ask for it.

    Args:
        command: without the values (:meth:`cog_nix.store.nix.Nix.build_command`).
        spec: the values.
        clock: what :func:`cog_nix.build.unchanged.clock` said before.

    Raises:
        OSError: the program is not there.
    """
    _began[:] = [clock]
    file = Values(spec)
    try:
        process = Child([*command, *file.arguments()], warden.marked(file.environment()))
    except OSError:
        file.close()
        raise
    _started[:] = [_Started(process, tuple(command), _text(spec), file)]
    atexit.register(stop)
    warden.watch()


def began() -> int | None:
    """Return when Nix may have begun to read the project in this process; None when it has not."""
    return _began[0] if _began else None


def take(command: Sequence[str], spec: Mapping[str, Any]) -> tuple[Process, Values] | None:
    """Return the running process, if it is this command with these values; end it when it is not.

    Returns:
        The process, and the file that has to stay until its end.
    """
    if not _started:
        return None
    if (_started[0].command, _started[0].spec) != (tuple(command), _text(spec)):
        stop()
        return None
    taken = _started.pop()
    return taken.process, taken.file


def stop() -> None:
    """End what nobody takes over."""
    from cog_nix.system.processes import end  # noqa: PLC0415 - Nix should start before this is imported

    while _started:
        started = _started.pop()
        with started.file, started.process:  # closes its pipes
            end(started.process)


def _text(spec: Mapping[str, Any]) -> str:
    return json.dumps(spec, sort_keys=True)
