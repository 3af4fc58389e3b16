"""What cog-nix hands to a running command, past Nix: secrets, proxies, certificates.

They must be in no derivation, so they come over a socket in the abstract namespace (unix(7)), which a
fixed-output derivation shares with the machine. Its name is a random word that ends with the command.
"""

from __future__ import annotations

import base64
import json
import socket
from dataclasses import dataclass, field

_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Handover:
    """Empty when nobody hands anything over, as in a plain ``nix build``."""

    secrets: dict[str, bytes] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    certificates: str = ""
    """PEM: the authorities that the machine trusts, where it was told of others than Debian's."""


def receive(name: str) -> Handover:
    """Fetch what is offered under a name.

    Raises:
        OSError: nobody is there.
    """
    if not name:
        return Handover()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_TIMEOUT_SECONDS)
        client.connect(f"\0{name}")
        received = b"".join(iter(lambda: client.recv(1 << 16), b""))
    if not received:
        raise ConnectionError("cog-nix does not know this build")
    offered = json.loads(received)
    return Handover(
        {key: base64.b64decode(value) for key, value in offered["secrets"].items()},
        offered["environment"],
        offered["certificates"],
    )
