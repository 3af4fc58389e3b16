"""The first process of the container: starts programs for those who connect, and ends when its owner does.

Standard library alone; runs from cog-nix's own folder, which the container sees::

    python3 -I -S -B server.py FOLDER [--tried]

It listens at ``FOLDER/socket``. The owner connects first, is told whether namespaces can be made in here, and
keeps the connection: when it closes, because the owner ended or was killed, the folder is removed, and this
process ends, and with it everything in the container. Every other connection is one program
(:mod:`client`). Open files travel over the socket (unix(7), SCM_RIGHTS), so nothing is copied in between.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

OWNER = b"o"
PROGRAM = b"p"
TRIED = "--tried"
"""Says that namespaces could be made in a container like this one; trying takes as long as starting."""
_OWNER_SECONDS = 60.0
"""So long the owner has to come; it is on its way when the container starts."""
_GRACE_SECONDS = 10
_STREAMS = 3
_LENGTH = 4


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """Read so many bytes.

    Raises:
        EOFError: the other end is gone.
    """
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _program(connection: socket.socket, streams: list[int]) -> None:
    """Run one program: what to run comes as JSON, signals to it come as bytes, its status goes back."""
    size = int.from_bytes(read_exactly(connection, _LENGTH), "big")
    request: dict[str, Any] = json.loads(read_exactly(connection, size))
    folder = request["folder"] if os.path.isdir(request["folder"]) else "/"  # noqa: PTH112 - start up fast
    environment = {**request["environment"], **_own(request["environment"])}
    try:
        process = subprocess.Popen(
            request["command"],
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        with suppress(OSError):
            os.write(streams[2], f"{request['command'][0]}: {error.strerror}\n".encode())
        connection.sendall((127).to_bytes(_LENGTH, "big"))
        return
    for descriptor in streams:
        os.close(descriptor)
    connection.sendall(_watch(connection, process).to_bytes(_LENGTH, "big", signed=True))


def _own(environment: dict[str, str]) -> dict[str, str]:
    """Return the variables that are this side's own."""
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
        "USER": environment.get("USER") or "cog-nix"
    }


def _watch(connection: socket.socket, process: subprocess.Popen[bytes]) -> int:
    """Hand signals on until the program ends; end it when who asked for it is gone."""
    ended = os.pidfd_open(process.pid)
    while True:
        ready, _, _ = select.select([connection.fileno(), ended], [], [])
        if ended in ready:
            return process.wait()
        number = connection.recv(1)
        if number:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number[0])
            continue
        _end(process)
        raise EOFError


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _gone(owner: socket.socket) -> bool:
    """Whether the owner's end is closed; it says nothing more."""
    try:
        return not owner.recv(1)
    except OSError:
        return True


def _serve(server: socket.socket, report: str) -> None:
    """Answer until the owner is gone."""
    server.settimeout(_OWNER_SECONDS)
    owner: socket.socket | None = None
    while True:
        if owner:
            ready, _, _ = select.select([server, owner], [], [])
            if owner in ready and _gone(owner):
                return
            if server not in ready:
                continue
        try:
            connection, _ = server.accept()
        except TimeoutError:
            return
        kind = b""
        streams: list[int] = []
        with suppress(OSError):  # it is gone already
            kind, streams, _, _ = socket.recv_fds(connection, 1, _STREAMS)
        if kind == OWNER and owner is None:
            owner = connection
            with suppress(OSError):  # as above
                owner.sendall(len(report.encode()).to_bytes(_LENGTH, "big") + report.encode())
            continue
        if kind == PROGRAM and os.fork() == 0:
            _answer(server, owner, connection, streams)
        connection.close()
        for descriptor in streams:
            os.close(descriptor)


def _answer(
    server: socket.socket, owner: socket.socket | None, connection: socket.socket, streams: list[int]
) -> NoReturn:
    """Serve one connection in a process of its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    server.close()
    if owner:
        owner.close()
    with suppress(EOFError, OSError):
        _program(connection, streams)
    os._exit(0)


def _reap(_number: int, _frame: object) -> None:
    """Take leave of processes that ended: a container's first process inherits all orphans."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _trial() -> str:
    """Return why builds cannot be isolated in this container, "" where they can.

    On a second line stands what helps on the machine around; nothing, where it is about this container.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from cog_nix.namespaces import why_no_namespaces  # noqa: PLC0415 - after its folder is known

    why = why_no_namespaces()
    if why is None:
        return ""
    return f"{why.message}\n{why.remedy if why.cause == 'setting' else ''}"


def main() -> None:
    """Listen where the command line says."""
    folder = Path(sys.argv[1])
    report = "" if sys.argv[2:] == [TRIED] else _trial()
    signal.signal(signal.SIGCHLD, _reap)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folder)  # a socket's whole path may be too long for its address (unix(7))
        server.bind("socket.new")
        server.listen(64)
        os.rename("socket.new", "socket")  # noqa: PTH104 - relative to the folder
        os.chdir("/")
        try:
            _serve(server, report)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
