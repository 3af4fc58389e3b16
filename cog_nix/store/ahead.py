"""A head start for Nix: it begins while Python still imports what the rest of a build needs.

After an edit the last build's command fits again, as a rule. Whoever knows the command starts it; the build
takes over what runs when it comes to the same command, and ends it when it comes to another.
"""

from __future__ import annotations

import atexit
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from cog_nix.child import Child, Process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self


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
        clock: what :func:`cog_nix.unchanged.clock` said before.

    Raises:
        OSError: the program is not there.
    """
    _began[:] = [clock]
    file = write(spec)
    try:
        process = Child([*command, *values(file)])
    except OSError:
        file.close()
        raise
    _started[:] = [_Started(process, tuple(command), _text(spec), file)]
    atexit.register(stop)


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
    from cog_nix.processes import end  # noqa: PLC0415 - Nix should start before this is imported

    while _started:
        started = _started.pop()
        with started.file, started.process:  # closes its pipes
            end(started.process)


class Values:
    """A file of values, which is gone when it is closed.

    Args:
        path: of the file, which is made.
        text: what goes into it.

    Raises:
        OSError: it is there, or cannot be written.
    """

    def __init__(self, path: str, text: str) -> None:
        self.name = path
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
            stream.write(text)

    def close(self) -> None:
        """Remove it."""
        with suppress(OSError):
            os.unlink(self.name)  # noqa: PTH108 - text

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        self.close()


def write(spec: Mapping[str, Any]) -> Values:
    """Write values to a file among the temporary ones."""
    folder = os.environ.get("TMPDIR")
    if not (folder and os.access(folder, os.W_OK)):  # tempfile knows more places; it takes 5 ms to import
        folder = "/tmp" if os.access("/tmp", os.W_OK) else _other_folder()  # noqa: S108 - its name is random
    return Values(f"{folder}/cog-nix-{os.urandom(8).hex()}.json", json.dumps(spec))


def _other_folder() -> str:
    from tempfile import gettempdir  # noqa: PLC0415 - see above

    return gettempdir()


def values(file: Values) -> list[str]:
    """Return the arguments that name a file of values to Nix."""
    return ["--argstr", "spec", file.name]


def _text(spec: Mapping[str, Any]) -> str:
    return json.dumps(spec, sort_keys=True)
