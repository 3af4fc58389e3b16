"""Hands a running command what must not be in a derivation: secrets, proxies, certificates.

Nix has no way for a value to reach a builder and nothing else: derivations are in the store for all to read,
and a daemon's builders do not get this process's environment. A builder of a fixed output shares the
machine's network, and with it sockets in the abstract namespace (unix(7)), so it can ask for them here.
"""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import secrets as tokens
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BUILDERS = "nixbld"
_AUTOMATIC_USERS = range(0x34000000, 0x34000000 + (1 << 23))
"""User ids that Nix gives to builders by itself (nix.conf(5), start-id and id-count)."""
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
"""In lower and upper case, as Docker's builds know them (Dockerfile reference, "Predefined ARGs")."""
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "NIX_SSL_CERT_FILE")
"""In the order in which downloads ask for them."""


@contextmanager
def offered(values: Mapping[str, bytes], environment: Mapping[str, str]) -> Iterator[str]:
    """Offer secrets, and what the machine needs to reach the network, to builders; yield the socket's name.

    Args:
        values: secrets by id.
        environment: of this process, for proxies and certificates.
    """
    answer = json.dumps(
        {
            "secrets": {name: base64.b64encode(value).decode() for name, value in values.items()},
            "environment": proxies(environment),
            "certificates": certificates(environment),
        }
    ).encode()
    name = f"cog-nix-{tokens.token_hex(16)}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        thread = threading.Thread(target=_serve, args=(server, answer), daemon=True)
        thread.start()
        try:
            yield name
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(server: socket.socket, answer: bytes) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return  # the command has ended
        with client, suppress(OSError):
            if _user_of(client) in _trusted():
                client.sendall(answer)


def _user_of(client: socket.socket) -> int:
    """Return the user id of the process at the other end (unix(7), SO_PEERCRED)."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)


class _Users:
    """Users that builders run as: this one, members of Nix's group, and those that Nix makes up."""

    def __init__(self, known: frozenset[int]) -> None:
        self._known = known

    def __contains__(self, uid: int) -> bool:
        return uid in self._known or uid in _AUTOMATIC_USERS


def _trusted() -> _Users:
    known = {os.getuid()}
    with suppress(KeyError):
        for member in grp.getgrnam(_BUILDERS).gr_mem:
            with suppress(KeyError):
                known.add(pwd.getpwnam(member).pw_uid)
    return _Users(frozenset(known))


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that name proxies."""
    names = [spelled for name in _PROXIES for spelled in (name, name.upper())]
    return {name: environment[name] for name in names if environment.get(name)}


def certificates(environment: Mapping[str, str]) -> str:
    """Return the bundle of certificate authorities that this machine was told to trust, or ""."""
    for name in _CERTIFICATES:
        if path := environment.get(name):
            with suppress(OSError, UnicodeDecodeError):
                return Path(path).read_text(encoding="utf-8")
    return ""
