"""Starts Cog's server in a container, and starts it again whenever SIGHUP says that the source has changed.

It is handed to the container's Python as a text, which may be as old as 3.7; standard library alone::

    python -c TEXT ARGUMENT…       what follows is given to another Python

A file that Python cannot read leaves the server as it is. A server that ends by itself, or whose ``setup()``
fails, is started again at the next edit; one that is asked to shut down ends the container.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

_FOLDER = "/src"
_SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_POLL_SECONDS, _REST_SECONDS = 0.02, 3600
_TICK_SECONDS = 0.05
"""A file's time is that of the kernel's last tick."""
_PORT = 5000
_ALL = ("0.0.0.0", "::", "[::]")  # noqa: S104 - where it may listen
_LOOPBACK = "127.0.0.1"
_STARTED, _FAILED = ("READY", "BUSY"), ("SETUP_FAILED", "DEFUNCT")
"""What a server says of its model (Cog's ``docs/http.md``)."""


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class _Server:
    """Cog's server, of which one at a time runs.

    Args:
        arguments: of Python.
    """

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.began = 0.0
        """When it was started the last time (:func:`time.time`)."""
        self.starts = 0

    def start(self) -> None:
        """Start it, in a group of its own, with nothing left of the one before."""
        self.kill()
        self.began = time.time()
        self.starts += 1
        self._process = subprocess.Popen(
            [sys.executable, "--check-hash-based-pycs", "never", *self._arguments],
            # A compiled file is known by second and size, and two edits may have both in common.
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            preexec_fn=_own_group,  # noqa: PLW1509 - there are no threads here
        )

    def kill(self) -> None:
        """End it, and what it has started: what it holds is of no use any more."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def ended(self) -> int | None:
        """Return its status when it has ended by itself."""
        return None if self._process is None else self._process.poll()

    def state(self) -> str:
        """Return what it says of its model; empty: it does not answer (yet)."""
        port = int(os.environ.get("PORT") or _PORT)
        connection = http.client.HTTPConnection(self._host(), port, timeout=1)
        try:
            connection.request("GET", "/health-check")
            return str(json.loads(connection.getresponse().read().decode())["status"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    def _host(self) -> str:
        """Return the address at which it is reached from here."""
        named = self._arguments[self._arguments.index("--host") + 1] if "--host" in self._arguments else ""
        return _LOOPBACK if not named or named in _ALL else named


def _own_group() -> None:
    os.setsid()
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _problem_since(moment: float) -> str:
    """Return what is wrong with the Python files that have changed since; empty: nothing."""
    for folder, folders, files in os.walk(_FOLDER):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        for path in (Path(folder, name) for name in files if name.endswith(".py")):
            try:
                if path.stat().st_mtime > moment - _TICK_SECONDS:
                    compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
            except OSError:
                pass  # it is gone again
            except (SyntaxError, ValueError) as error:
                return "".join(traceback.format_exception_only(type(error), error)).rstrip()
    return ""


def main() -> int:
    """Start the server, and answer signals until the end; return the exit status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    server = _Server(sys.argv[1:])
    server.start()
    waiting = True
    while True:
        told = signal.sigtimedwait(_SIGNALS, _POLL_SECONDS if waiting else _REST_SECONDS)
        number = told.si_signo if told else 0
        if number in (signal.SIGTERM, signal.SIGINT):
            server.kill()
            return 0
        if number == signal.SIGHUP:
            waiting = _restart(server) or waiting
        status = server.ended()
        if status == 0:
            return 0  # it was asked to
        if status is not None:
            server.kill()
            waiting = False
            _say(f"The server has ended with status {status}; the next edit starts it again.")
        if waiting:
            waiting = not _has_started(server)


def _restart(server: _Server) -> bool:
    """Start a server again, unless Python cannot read its source; return whether it was done."""
    problem = _problem_since(server.began)
    if problem:
        _say(f"{problem}\nThe model goes on as it was; the next good edit restarts it.")
        return False
    server.start()
    return True


def _has_started(server: _Server) -> bool:
    """Tell whether there is nothing more to wait for, and say how it went."""
    state = server.state()
    if state in _STARTED and server.starts > 1:
        _say(f"Serving again after {time.time() - server.began:.2f} s.")
    if state in _FAILED:
        _say("The model's setup failed; the next edit starts it again.")
    return state in _STARTED or state in _FAILED


if __name__ == "__main__":
    sys.exit(main())
