"""What keeps a file from being fetched, as data; each says in a sentence which server, which file and why."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from cog_nix.errors import FetchError
from cog_nix.fetch import urls

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.lock.model import Artifact

_GONE = frozenset({404, 410})
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class TransientError(Exception):
    """Something that another attempt may mend.

    Args:
        reason: what happened, in a few words.
        wait: seconds that the server asks to wait (RFC 9110, section 10.2.3).
        connected: whether there was a connection; without one, nothing else there can be had either.
    """

    def __init__(self, reason: str, *, wait: float = 0, connected: bool = True) -> None:
        super().__init__(reason)
        self.reason, self.wait, self.connected = reason, wait, connected


class _UrlError(FetchError):
    """Something about a URL."""

    def __init__(self, url: str, *, hint: str) -> None:
        super().__init__(hint=hint)
        self.url, self.host = url, urls.host_of(url)
        self.file = urls.filename_of(url) or self.host


class StatusError(_UrlError):
    """A server refuses with a status (HTTP)."""

    def __init__(self, url: str, status: int, phrase: str = "") -> None:
        host = urls.host_of(url)
        gone = "The server no longer holds this file. To lock what there is today:  cog-nix lock --upgrade"
        hints = {
            401: f"Put the credentials for {host} into ~/.netrc or into the URL of the index.",
            403: f"Check that you may read from {host}; put credentials into ~/.netrc when it needs them.",
            407: "Put the proxy's user and password into HTTPS_PROXY (http://USER:PASSWORD@HOST:PORT).",
            **dict.fromkeys(_GONE, gone),
        }
        super().__init__(url, hint=hints.get(status, f"Ask whoever runs {host}, or name another mirror."))
        self.status, self.phrase = status, phrase

    @property
    def gone(self) -> bool:
        """Whether the server says clearly that it has no such file."""
        return self.status in _GONE

    def __str__(self) -> str:
        answer = f"{self.status} {self.phrase}".strip()
        return f"cannot fetch {self.file}: {self.host} answered {answer}\n  {urls.shown(self.url)}"


class UnreachableError(_UrlError):
    """A server does not answer, or breaks off each time."""

    def __init__(self, url: str, reason: str, attempts: int) -> None:
        host, self.reason, self.attempts, self.proxy = urls.host_of(url), reason, attempts, _proxy_for(url)
        if self.proxy:
            check = f"Check the proxy (HTTPS_PROXY), or list {urls.split(url).hostname} in NO_PROXY."
        else:
            check = f"Check that {host} can be reached from here; behind a proxy set HTTPS_PROXY."
        elsewhere = "Another mirror or index will do as well: name it, the hash decides."
        super().__init__(url, hint=f"{check} {elsewhere} What has come is kept.")

    def __str__(self) -> str:
        tries = f"after {self.attempts} attempts" if self.attempts > 1 else "at the first attempt"
        lines = [
            f"cannot fetch {self.file} from {self.host} ({tries}): {self.reason}",
            f"  {urls.shown(self.url)}",
        ]
        return "\n".join([*lines, f"  through the proxy {self.proxy}"] if self.proxy else lines)


class UntrustedError(_UrlError):
    """The certificate of a server is not trusted."""

    def __init__(self, url: str, reason: str) -> None:
        hint = "Set SSL_CERT_FILE to a file with your organisation's certificate authorities (PEM)."
        super().__init__(url, hint=hint)
        self.reason = reason

    def __str__(self) -> str:
        trust = f"the certificate of {self.host} is not trusted"
        return f"cannot fetch {self.file}: {trust}\n  {urls.shown(self.url)}\n  {self.reason}"


class UnusableUrlError(_UrlError):
    """A URL that cannot be asked for, or that leads nowhere."""

    def __init__(
        self, url: str, reason: str, *, hint: str = "Correct the URL, or name another mirror."
    ) -> None:
        super().__init__(url, hint=hint)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot fetch {urls.shown(self.url)}: {self.reason}"


class WrongFileError(FetchError):
    """What came is not the file that is locked.

    Args:
        artifact: what is locked.
        what: is wrong, in a few words.
        got: what came: its hash, or its size.
        hint: what to do next.
    """

    def __init__(self, artifact: Artifact, what: str, got: str, *, hint: str) -> None:
        super().__init__(hint=hint)
        self.artifact, self.what, self.got = artifact, what, got

    def __str__(self) -> str:
        artifact = self.artifact
        return (
            f"refused {artifact.filename}: {self.what}\n"
            f"  from      {urls.shown(artifact.url)}\n"
            f"  expected  sha256 {artifact.sha256}, {artifact.size} bytes\n"
            f"  got       {self.got}"
        )


class NotHereError(FetchError):
    """A file is not here, and nothing may be fetched."""

    def __init__(self, artifact: Artifact) -> None:
        super().__init__(hint="Run it once with a network; what comes is kept in the cache.")
        self.artifact = artifact

    def __str__(self) -> str:
        return f"This machine lacks {self.artifact.filename}, and nothing may be fetched."


class CacheError(FetchError):
    """Downloads cannot be written."""

    def __init__(self, folder: Path, error: OSError) -> None:
        self.folder, self.errno, self.reason = folder, error.errno, error.strerror or str(error)
        free = "Free some space, or move the cache to another disk; what has come is kept and carried on."
        make = "Make the folder writable, or move the cache elsewhere."
        super().__init__(hint=free if self.no_space else make)

    @property
    def no_space(self) -> bool:
        """Whether the disk is full, or all that this user may have of it."""
        return self.errno in _NO_SPACE

    def __str__(self) -> str:
        if self.no_space:
            return f"no space left for downloads in {self.folder}"
        return f"cannot write downloads in {self.folder}: {self.reason}"


def _proxy_for(url: str) -> str | None:
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - costs 20 ms; only failures need it

    parts = urls.split(url)
    if parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return urls.host_of(proxy) or proxy if proxy else None
