"""What a running command is handed, and must be in no derivation: secrets, proxies, certificates.

It goes to the builder through a pipe, which no other process can open.
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.system.certificate import BUNDLES

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
"""In lower and upper case, as Docker's builds know them (Dockerfile reference, "Predefined ARGs")."""


def message(values: Mapping[str, bytes], environment: Mapping[str, str]) -> str:
    """Return what ``nix/builders/handover.py`` reads.

    Args:
        values: secrets by id.
        environment: of this process, for what the machine needs to reach the network.
    """
    return json.dumps(
        {
            "secrets": {name: base64.b64encode(value).decode() for name, value in values.items()},
            "environment": proxies(environment),
            "certificates": certificates(environment),
        }
    )


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that name proxies."""
    names = [spelled for name in _PROXIES for spelled in (name, name.upper())]
    return {name: environment[name] for name in names if environment.get(name)}


def certificates(environment: Mapping[str, str]) -> str:
    """Return the bundle of certificate authorities that this machine was told to trust, or ""."""
    for name in (*BUNDLES, "NIX_SSL_CERT_FILE"):
        if path := environment.get(name):
            with suppress(OSError, UnicodeDecodeError):
                return Path(path).read_text(encoding="utf-8")
    return ""
