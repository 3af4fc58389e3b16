"""What a URL says: file name, host, credentials, and how it may be shown."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

Credentials = tuple[str, str]
"""User and password."""
Origin = tuple[str, str, int]
"""Scheme, host in lower case, port."""

_PORTS = {"http": 80, "https": 443}


def split(url: str) -> SplitResult:
    """Return the parts of a URL; what is none (``http://[``) has a path alone."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", url, "", "")


def filename_of(url: str) -> str:
    """Return the last part of the path, unquoted: ``torch-2.0.1+cu118-….whl``."""
    return unquote(split(url).path.rstrip("/").rsplit("/", 1)[-1])


def host_of(url: str) -> str:
    """Return the host, with the port when it is named."""
    parts = split(url)
    return parts.netloc.rpartition("@")[2]


def origin(url: str) -> Origin:
    """Return what credentials are bound to (RFC 6454, section 4); unreadable URLs share none."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", url, 0


def is_loopback(host: str) -> bool:
    """Return whether a host, without port and brackets, is this machine itself."""
    from ipaddress import ip_address  # noqa: PLC0415 - only downloads need it

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def without_credentials(url: str) -> str:
    """Return the URL without user and password."""
    parts = split(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def credentials_in(url: str) -> Credentials | None:
    """Return user and password, unquoted (RFC 3986, section 3.2.1), or None."""
    userinfo, at, _ = split(url).netloc.rpartition("@")
    if not at:
        return None
    user, _, password = userinfo.partition(":")
    return unquote(user), unquote(password)


def netrc_credentials(url: str) -> Credentials | None:
    """Return what ``$NETRC`` or ``~/.netrc`` holds for the host of a URL, or None.

    Nothing for a URL without TLS that leads to another machine. An entry ``default`` counts for no host: a
    lock or an index may name any.
    """
    scheme, host, _ = origin(url)
    if scheme != "https" and not is_loopback(host):
        return None
    import netrc  # noqa: PLC0415 - only downloads need it

    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        found = netrc.netrc(path).hosts.get(host)
    except (OSError, netrc.NetrcParseError):
        return None  # as curl and pip do: an unusable netrc is no netrc
    return (found[0], found[2] or "") if found else None


def shown(url: str) -> str:
    """Return the URL as messages may show it: no credentials, no query (signed URLs carry tokens there)."""
    parts = split(without_credentials(url))
    return urlunsplit(parts._replace(query="…" if parts.query else "", fragment=""))


def local_path(url: str) -> Path:
    """Return the path of a ``file:`` URL (RFC 8089)."""
    return Path(unquote(split(url).path))
