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
from functools import partial
from typing import TYPE_CHECKING

from cog_nix.runtime.copying import CHUNK, Sender, write_all

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cog_nix.plugins.spec import Streams


class Connection:
    """The near ends of a container's streams.

    Args:
        sources: descriptors that the container's output is read from, and which of
            :class:`cog_nix.plugins.spec.Streams` gets it.
        sink: the descriptor that its input is written to; None: it has none.
        terminal: the near end of its terminal; None: it has none.
    """

    def __init__(self, sources: Mapping[int, str], sink: int | None, terminal: int | None = None) -> None:
        self._sources = dict(sources)
        self._sink = sink
        self._terminal = terminal

    def copy(self, streams: Streams) -> None:
        """Copy in both directions until the container's ends are closed."""
        sender = None
        if streams.stdin is not None and self._sink is not None:
            sender = Sender(streams.stdin, partial(write_all, self._sink), self._end)
        try:
            flowing = dict(self._sources)
            while flowing:
                for source in select.select([*flowing], [], [])[0]:
                    if data := _read(source):
                        write_all(getattr(streams, flowing[source]), data)
                    else:
                        del flowing[source]
        finally:
            if sender:
                sender.stop(1)

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

    def _end(self) -> None:
        if self._terminal is None and self._sink is not None:  # a terminal has no end
            sink, self._sink = self._sink, None
            os.close(sink)


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
        return os.read(source, CHUNK)
    except OSError as error:
        if error.errno == errno.EIO:  # so Linux says that a terminal's other end is closed
            return b""
        raise
