"""A container's streams: pipes, or a terminal of its own that this process holds the other end of.

The container never gets this process's own streams: the terminal's Ctrl-C would reach it beside whoever
decides what Ctrl-C means, and a program in it could write into this terminal's input (TIOCSTI).
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import subprocess
import termios
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cog_nix.spec import Streams

_CHUNK = 1 << 16


class Connection:
    """The near ends of a container's streams.

    Args:
        sources: descriptors that the container's output is read from, and which of
            :class:`cog_nix.spec.Streams` gets it.
        sink: the descriptor that its input is written to; None: it has none.
        terminal: the near end of its terminal; None: it has none.
    """

    def __init__(self, sources: Mapping[int, str], sink: int | None, terminal: int | None = None) -> None:
        self._sources = dict(sources)
        self._sink = sink
        self._terminal = terminal

    def copy(self, streams: Streams) -> None:
        """Copy in both directions until the container's ends are closed."""
        awake, wake = os.pipe()
        sender = None
        if streams.stdin is not None and self._sink is not None:
            arguments = (streams.stdin, self._sink, awake)
            sender = threading.Thread(target=self._send, args=arguments, daemon=True, name="stdin")
            sender.start()
        try:
            flowing = dict(self._sources)
            while flowing:
                for source in select.select([*flowing], [], [])[0]:
                    if data := _read(source):
                        _write(getattr(streams, flowing[source]), data)
                    else:
                        del flowing[source]
        finally:
            os.close(wake)  # ends the wait for input that nobody reads any more
            if sender:
                sender.join(1)
            if not (sender and sender.is_alive()):
                os.close(awake)

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal its size, in characters."""
        if self._terminal is not None:
            resize(self._terminal, rows, columns)

    def close(self) -> None:
        """Close what is open."""
        for descriptor in {*self._sources, self._sink, self._terminal}:
            if descriptor is not None:
                os.close(descriptor)
        self._sources, self._sink, self._terminal = {}, None, None

    def _send(self, stdin: int, sink: int, awake: int) -> None:
        with suppress(OSError):  # the container ended without reading everything
            while awake not in (ready := select.select([stdin, awake], [], [])[0]) and ready:
                data = os.read(stdin, _CHUNK)
                if data:
                    _write(sink, data)
                elif self._terminal is None:
                    self._sink = None
                    os.close(sink)
                    return
                else:  # a terminal has no end
                    return


def connected(
    command: list[str], folder: Path, *, stdin: bool, tty: bool, size: tuple[int, int] | None = None
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a command with streams of its own.

    Args:
        command: what to start.
        folder: where.
        stdin: whether it reads.
        tty: whether its streams are a terminal, which then controls its session.
        size: rows and columns of the terminal from the first moment on.
    """
    if tty:
        near, far = os.openpty()
        try:
            if size:
                resize(near, *size)
            process = subprocess.Popen(
                ["setsid", "--ctty", *command], cwd=folder, stdin=far, stdout=far, stderr=far
            )
        except BaseException:
            os.close(near)
            raise
        finally:
            os.close(far)
        return process, Connection({near: "stdout"}, near if stdin else None, near)
    out, far_out = os.pipe()
    err, far_err = os.pipe()
    far_sink, sink = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
    connection = Connection({out: "stdout", err: "stderr"}, sink)
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=far_sink,
            stdout=far_out,
            stderr=far_err,
            start_new_session=True,  # the terminal's Ctrl-C is for this process
        )
    except BaseException:
        connection.close()
        raise
    finally:
        for descriptor in (far_sink, far_out, far_err):
            os.close(descriptor)
    return process, connection


def resize(terminal: int, rows: int, columns: int) -> None:
    """Set a terminal's size, in characters; its programs get SIGWINCH (ioctl_tty(2), ``struct winsize``)."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


def _read(source: int) -> bytes:
    try:
        return os.read(source, _CHUNK)
    except OSError as error:
        if error.errno == errno.EIO:  # so Linux says that a terminal's other end is closed
            return b""
        raise


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
