"""What comes through a connection that is cut."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from cog_nix.plugins.spec import Streams
from cog_nix_hooks.docker.attach import Attachment

if TYPE_CHECKING:
    from pathlib import Path

LOGGED = {"stdout": b"one\ntwo\n", "stderr": b"oops\n"}


class Daemon:
    """The end of a connection where a daemon would be."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()

    def attach_socket(self, _name: str, params: dict[str, int]) -> socket.socket:
        """Hand out the other end."""
        assert params["stdin"] == 0
        return self.near

    def say(self, number: int, words: bytes) -> None:
        """Send a frame as Docker does."""
        self.far.sendall(struct.pack(">BxxxL", number, len(words)) + words)


@pytest.mark.parametrize("verb", ["read", "write"])
def test_what_podman_lost_comes_from_the_log(tmp_path: Path, verb: str) -> None:
    daemon = Daemon()
    attachment = Attachment(daemon, "name", stdin=False, tty=False)  # type: ignore[arg-type]
    daemon.say(1, b"one\n")
    reset = f"Error: {verb} unixpacket @->/proc/self/fd/9/attach: {verb}: connection reset by peer\n"
    daemon.say(2, reset.encode())
    daemon.far.close()
    files = [os.open(tmp_path / name, os.O_CREAT | os.O_WRONLY) for name in LOGGED]
    streams = Streams(None, *files)
    attachment.copy(streams)
    assert attachment.torn
    attachment.complete(streams, LOGGED.__getitem__)
    attachment.close()
    for descriptor in files:
        os.close(descriptor)
    assert {name: (tmp_path / name).read_bytes() for name in LOGGED} == LOGGED


def test_a_program_that_says_nearly_the_same(tmp_path: Path) -> None:
    daemon = Daemon()
    attachment = Attachment(daemon, "name", stdin=False, tty=False)  # type: ignore[arg-type]
    daemon.say(2, b"Error: read unixpacket of mine\n")
    daemon.far.close()
    with (tmp_path / "err").open("wb") as err:
        attachment.copy(Streams(None, err.fileno(), err.fileno()))
    attachment.close()
    assert not attachment.torn
    assert (tmp_path / "err").read_bytes() == b"Error: read unixpacket of mine\n"
