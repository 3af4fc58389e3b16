"""Who may use the playground: the browser of this machine, on a page of the playground's own.

What is proxied goes wherever the page says, so it must not be at anybody else's service: not of another
machine, not of a page of another site (``Origin``, RFC 6454; ``Sec-Fetch-Site``, W3C Fetch Metadata), and not
under a name that somebody let point to this machine (DNS rebinding: the ``Host`` has to be loopback's).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from email.message import Message

_POLICY = (
    "default-src 'none'",
    "connect-src 'self'",
    "img-src 'self' data: blob: http: https:",
    "media-src 'self' data: blob: http: https:",
    "script-src 'self'",
    "style-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
)
SECURITY_HEADERS = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with every answer. Pictures, sound and video may come from where a model says that they are."""


def may_ask(peer: str, headers: Message) -> bool:
    """Whether a request comes from this machine's browser and a page of the playground's.

    Args:
        peer: the address that the connection comes from.
        headers: of the request.
    """
    return _is_loopback(peer) and is_loopback_host(headers.get("Host", "")) and not is_cross_site(headers)


def is_loopback_host(host: str) -> bool:
    """Whether a ``Host`` is this machine's loopback, with a port or without."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or _is_loopback(name)


def is_cross_site(headers: Message) -> bool:
    """Whether a browser says that a page of another origin asks; the same site with another port is one."""
    if headers.get("Sec-Fetch-Site", "none").lower() not in {"same-origin", "none"}:
        return True
    origin = headers.get("Origin")
    if not origin:
        return False
    scheme, _, host = origin.partition("://")
    return scheme.lower() not in {"http", "https"} or host.lower() != headers.get("Host", "").lower()


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)  # a socket of IPv6 that takes IPv4 as well
    return bool((mapped or found).is_loopback)
