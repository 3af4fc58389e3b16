"""Digests of content."""

from __future__ import annotations

import hashlib


def digest_of(data: bytes) -> str:
    """Return ``sha256:…`` of some bytes (image-spec, descriptor.md, "Digests")."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
