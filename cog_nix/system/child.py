"""A child process, started with as little imported as can be: :mod:`subprocess` takes 10 ms.

It has of :class:`subprocess.Popen` what :func:`cog_nix.system.processes.run` needs to go on with it.
"""

from __future__ import annotations

import os
import time
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self, TypeAlias

_KILL = 9
_RESTORED = (13, 25)
"""SIGPIPE and SIGXFSZ, which Python ignores and no child expects to be ignored (signal(7))."""
_POLL_SECONDS = 0.01


class Child:
    """A child whose streams are pipes of text.

    Args:
        command: program and arguments.
        env: the whole environment; None: ours.

    Raises:
        OSError: there is no such program.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._command = tuple(command)
        pipes = [os.pipe() for _ in range(3)]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        actions = [(os.POSIX_SPAWN_DUP2, end, number) for number, end in enumerate(theirs)]
        try:
            self.pid = os.posix_spawnp(
                command[0],
                self._command,
                os.environ if env is None else env,
                file_actions=actions,
                setsigdef=_RESTORED,
            )
        except OSError:
            for end in (pipes[0][1], pipes[1][0], pipes[2][0]):
                os.close(end)
            raise
        finally:
            for end in theirs:
                os.close(end)
        self.stdin: IO[str] | None = open(pipes[0][1], "w", encoding="utf-8")  # noqa: PTH123, SIM115
        self.stdout: IO[str] | None = _reading(pipes[1][0])
        self.stderr: IO[str] | None = _reading(pipes[2][0])
        self._status: int | None = None

    @property
    def returncode(self) -> int:
        """Its exit status; negative: the signal that ended it."""
        return self.wait()

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status when there is one.

        Raises:
            subprocess.TimeoutExpired: it takes more seconds than that.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG if timeout is not None else 0)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
            elif deadline is not None and time.monotonic() > deadline:
                from subprocess import TimeoutExpired  # noqa: PLC0415 - see the module's docstring

                raise TimeoutExpired(self._command, timeout or 0)
            else:
                time.sleep(_POLL_SECONDS)
        return self._status

    def poll(self) -> int | None:
        """Return the exit status, None while there is none."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def kill(self) -> None:
        """End it."""
        if self._status is None:  # its number is still its own: nobody else waits for it
            os.kill(self.pid, _KILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdout, self.stderr, self.stdin):
            if stream:
                stream.close()
        self.wait()


def _reading(descriptor: int) -> IO[str]:
    return open(descriptor, encoding="utf-8", errors="replace")


if TYPE_CHECKING:
    import subprocess

    Process: TypeAlias = subprocess.Popen[str] | Child
    """A child whose streams are pipes."""
