"""Runs other programs: one function, whose failures show the command and what it said.

Commands are lists, never shell lines. Whatever looks like a credential is left out of messages.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from cog_nix.errors import CogNixError
from cog_nix.system import warden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.system.child import Process

    _Heard = Callable[[str], bool | None]

SHOWN_LINES = 40
"""So many of the last lines of a failed command's output go into its error."""

_GRACE_SECONDS = 10
_NOT_FOUND = 127
"""A shell's exit status for a program that is not there."""
_hidden: set[str] = set()
_USERINFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^/\s@'\"`]+@", re.IGNORECASE)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace credentials in URLs, and each of ``secrets``, by ``***``.

    Args:
        text: what a user is about to see.
        secrets: values that must not appear, beyond what URLs carry (RFC 3986, section 3.2.1).
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    # Nix says a million lines, and looking for credentials in each takes longer than all else with them.
    return _USERINFO.sub(r"\g<scheme>***@", text) if "://" in text else text


def hide(variables: Iterable[str]) -> None:
    """Start programs without these variables of our environment from here on.

    What a program was started with can be read by every other program of the user (proc(5), ``environ``).
    """
    _hidden.update(variables)


@dataclass(frozen=True)
class Finished:
    """A command that ran to its end."""

    command: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    @property
    def disk_full(self) -> bool:
        """Whether it said that there is no space left."""
        return reports_full_disk(self.stderr)


def reports_full_disk(text: str) -> bool:
    """Whether a program says in strerror(3)'s words that there is no space left."""
    return os.strerror(errno.ENOSPC) in text


class ProcessError(CogNixError):
    """A command failed.

    Args:
        finished: what was run and what it said, credentials included: show ``message``, not this.
        secrets: values that must not appear.
        hint: what to do next.
    """

    not_found = False
    """Whether there is no such program."""

    def __init__(self, finished: Finished, secrets: Iterable[str] = (), *, hint: str = "") -> None:
        super().__init__(hint=hint)
        self.finished, self._secrets = finished, tuple(secrets)

    def __str__(self) -> str:
        finished = self.finished
        said = [line for line in (finished.stderr or finished.stdout).rstrip().splitlines() if line.strip()]
        status = finished.returncode
        ended = f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"
        lines = [f"{shlex.join(finished.command)} {ended}", *(f"  {line}" for line in said[-SHOWN_LINES:])]
        return redact("\n".join(lines), self._secrets)


class NotStartedError(ProcessError):
    """A command could not be started: no such program or folder, or not allowed."""

    def __init__(
        self, command: tuple[str, ...], cwd: Path | None, error: Exception, secrets: Iterable[str]
    ) -> None:
        self.not_found = isinstance(error, FileNotFoundError) and (cwd is None or cwd.is_dir())
        hint = f"Install {command[0]} or put it on the PATH." if self.not_found else ""
        super().__init__(Finished(command, _NOT_FOUND, "", str(error)), secrets, hint=hint)
        self.cwd, self.reason = cwd, getattr(error, "strerror", None) or str(error)

    def __str__(self) -> str:
        command = self.finished.command
        if self.not_found:
            return f"cannot run {command[0]}: there is no such program"
        where = f" in {self.cwd}" if self.cwd else ""
        return redact(f"cannot run {shlex.join(command)}{where}: {self.reason}", self._secrets)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str = "",
    check: bool = True,
    secrets: Sequence[str] = (),
    on_stderr: _Heard | None = None,
    on_stdout: _Heard | None = None,
    started: Process | None = None,
) -> Finished:
    """Run a command to its end and return what it wrote.

    Args:
        command: program and arguments.
        env: the whole environment; None: ours.
        cwd: working folder; None: ours.
        stdin: text it reads.
        check: raise when the exit status is not 0.
        secrets: values that must not appear in errors or in lines handed on.
        on_stderr: called with each line of stderr as it comes, redacted, from a thread; one that it answers
            with False is not kept. What it raises ends the command, and is raised.
        on_stdout: the same of stdout.
        started: this command, as :func:`start_process` or :mod:`cog_nix.system.child` started it before.

    Raises:
        ProcessError: the program is missing, or ``check`` and it failed.
    """
    arguments = tuple(str(part) for part in command)
    try:
        process = started or start_process(arguments, env=env, cwd=cwd)
    except (OSError, ValueError) as error:  # ValueError: a NUL in an argument or a variable
        raise NotStartedError(arguments, cwd, error, secrets) from error

    def redacted(heard: _Heard | None) -> _Heard:
        return lambda line: heard(redact(line, secrets)) if heard else None

    heard = {"stdout": redacted(on_stdout), "stderr": redacted(on_stderr)}
    finished = _converse(process, arguments, stdin, heard)
    if check and finished.returncode != 0:
        raise ProcessError(finished, secrets)
    return finished


def start_process(
    arguments: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[str]:
    """Start a command whose streams are pipes, for :func:`run` to go on with; it ends when we do.

    Raises:
        OSError: the program is missing.
    """
    return subprocess.Popen(
        arguments,
        env=warden.environment(_without_hidden(env)),
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def spawn(
    arguments: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command with streams of one's own (as of :class:`subprocess.Popen`); it ends when we do.

    Raises:
        OSError: the program is missing.
    """
    return subprocess.Popen(
        arguments,
        env=warden.environment(_without_hidden(env)),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
    )


def _without_hidden(env: Mapping[str, str] | None) -> Mapping[str, str]:
    hidden = {name for name in _hidden if env is None or not name.startswith("UV_")}  # uv's are for uv
    return {name: value for name, value in (os.environ if env is None else env).items() if name not in hidden}


def _converse(
    process: Process, command: tuple[str, ...], stdin: str, heard: Mapping[str, _Heard]
) -> Finished:
    outputs: dict[str, list[str]] = {"stdout": [], "stderr": []}
    failures: list[Exception] = []

    def is_kept(hear: _Heard, line: str) -> bool:
        try:
            return not failures and hear(line) is not False
        except Exception as error:  # noqa: BLE001 - handed to the caller's thread
            failures.append(error)
            threading.Thread(target=end, args=(process,), daemon=True).start()
            return False

    def collect(name: str) -> None:
        stream = process.stdout if name == "stdout" else process.stderr
        assert stream is not None  # noqa: S101 - for the type checker: all three are pipes
        for line in stream:
            if is_kept(heard[name], line.rstrip("\n")):
                outputs[name].append(line)

    readers = [threading.Thread(target=collect, args=(name,), daemon=True) for name in outputs]
    with process:
        try:
            for reader in readers:
                reader.start()
            _feed(process, stdin)
            for reader in readers:
                reader.join()
            process.wait()
        except BaseException:
            end(process)
            raise
    if failures:
        raise failures[0]
    return Finished(command, process.returncode, "".join(outputs["stdout"]), "".join(outputs["stderr"]))


def end(process: Process) -> None:
    """Let a program that is not needed any more put its things in order, and all that it has started.

    It is ended when it takes too long.
    """
    for pid in list(warden.family(process.pid)) if process.poll() is None else ():
        with suppress(ProcessLookupError, PermissionError):  # it has ended, or is a builder's
            os.kill(pid, signal.SIGTERM)
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _feed(process: Process, stdin: str) -> None:
    assert process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
    try:
        process.stdin.write(stdin)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it ended without reading everything; its exit status says whether that is bad
