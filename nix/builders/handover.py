"""What cog-nix hands to a running command: secrets, proxies, certificates.

They must be in no derivation and no file, so they come through a pipe, the builder's standard input. Nix
gives builders an empty one.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import BinaryIO


@dataclass(frozen=True)
class Handover:
    """Empty when nobody hands anything over, as in a plain ``nix build``."""

    secrets: dict[str, bytes] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    certificates: str = ""
    """PEM: the authorities that the machine trusts, where it was told of others than Debian's."""


def receive(stream: BinaryIO) -> Handover:
    """Read what is handed over, to the end."""
    if not (received := stream.read()):
        return Handover()
    offered = json.loads(received)
    return Handover(
        {key: base64.b64decode(value) for key, value in offered["secrets"].items()},
        offered["environment"],
        offered["certificates"],
    )
