"""What Nix asks of a server: many connections at once."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from cog_nix.store.serving import Handler, Server

_AT_ONCE = 30


def test_connections_that_come_at_once_are_not_put_off() -> None:
    with Server(("127.0.0.1", 0), Handler) as server, ExitStack() as opened:
        for _ in range(_AT_ONCE):  # nobody accepts them yet
            opened.enter_context(socket.create_connection(("127.0.0.1", server.server_port), timeout=0.9))
