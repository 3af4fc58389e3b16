"""What a registry wants to see: HTTP Basic, or a bearer token from its token server.

The exchange is the "Token Authentication Specification" and "OAuth 2 token" page of the Docker registry's
documentation: a 401 names realm, service and scope; the realm hands out a token for user and password (GET)
or for a refresh token (POST).
"""

from __future__ import annotations

import base64
import os
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cog_nix.fetch import urls
from cog_nix.registry.failures import LoginError, UnusableAnswerError
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import httpx

    from cog_nix.registry.credentials import Credentials
    from cog_nix.registry.failures import Purpose

INSECURE = "COG_NIX_INSECURE_REGISTRIES"
"""Names registries, besides those on this machine, that may go without TLS: ``host:port``, with commas."""

_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_REFUSED = frozenset({400, 401, 403})
_REDIRECT = 300
_CLIENT = "cog-nix"


@dataclass(frozen=True)
class Challenge:
    """A ``WWW-Authenticate`` header (RFC 9110, section 11.6.1)."""

    scheme: str
    """In lower case."""
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, header: str) -> Challenge:
        """Read one challenge; without any the scheme is empty."""
        scheme, _, rest = header.strip().partition(" ")
        found = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
        return cls(scheme.lower(), found)


@dataclass
class Authorizer:
    """Makes the Authorization header for one registry, and renews it; safe to share between threads.

    Args:
        registry: host, for messages.
        credentials: empty for nobody in particular.
        scopes: what the token is asked for, ``repository:NAME:pull,push``.
        purpose: ``push`` or ``pull``, for messages.
    """

    registry: str
    credentials: Credentials
    scopes: tuple[str, ...]
    purpose: Purpose = "push"
    _header: str = field(default="", repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def header(self) -> str:
        """The current value of the Authorization header; "" for none."""
        return self._header

    def renew(self, client: httpx.Client, challenge: Challenge, used: str, *, secure: bool) -> bool:
        """Get another header after a 401.

        Args:
            client: to ask the token server with.
            challenge: what came with the 401.
            used: the header that was refused.
            secure: whether the registry was spoken to over TLS.

        Returns:
            Whether it is worth asking again.

        Raises:
            RegistryError: the token server refuses or cannot be used.
            httpx.TransportError: it cannot be reached.
        """
        with self._lock:
            if self._header not in {"", used}:  # another thread was faster
                return True
            known = self.credentials
            if known.registry_token:
                self._header = f"Bearer {known.registry_token}"
            elif challenge.scheme == "basic" and known.password:
                self._header = _basic(known)
            elif challenge.scheme == "bearer":
                self._header = f"Bearer {self._token(client, challenge, secure=secure)}"
            return self._header != used

    def widen(self, scopes: Iterable[str]) -> None:
        """Have the next token say these as well."""
        with self._lock:
            if new := [one for one in scopes if one not in self.scopes]:
                self.scopes += tuple(new)
                if self._header.startswith("Bearer ") and not self.credentials.registry_token:
                    self._header = ""

    def _token(self, client: httpx.Client, challenge: Challenge, *, secure: bool) -> str:
        realm = challenge.parameters.get("realm", "")
        if not _is_trusted(realm, secure=secure):
            raise UnusableAnswerError(
                self.registry,
                f"names no token server that can be trusted: {realm or 'none at all'}",
                hint="Ask whoever runs the registry; credentials are sent over https only.",
            )
        service = challenge.parameters.get("service", "")
        known = self.credentials
        if known.identity_token:
            form = {"grant_type": "refresh_token", "service": service, "client_id": _CLIENT}
            form |= {"scope": " ".join(self.scopes), "refresh_token": known.identity_token}
            # A redirect would take the form along.
            answer = client.post(realm, data=form, follow_redirects=False)
        else:
            query: dict[str, str | list[str]] = {"service": service, "scope": list(self.scopes)}
            headers = {"Authorization": _basic(known)} if known.password else {}
            answer = client.get(realm, params=query, headers=headers)
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> str:
        if answer.status_code in _REFUSED:
            raise LoginError(self.registry, self.credentials, answer.status_code, self.purpose)
        server, later = f"the token server of {self.registry}", "Run this again later."
        if (status := answer.status_code) >= _REDIRECT:
            what = f"answered {status} {answer.reason_phrase}"
            raise UnusableAnswerError(server, what, hint=later, status=status)
        try:
            data = jsonvalue.loads(answer.content)
            token = data.get("token") or data["access_token"]
        except (ValueError, KeyError, AttributeError) as error:
            raise UnusableAnswerError(server, "did not answer with a token", hint=later) from error
        return str(token)


def may_be_plain(registry: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a registry may be spoken to without TLS: on this machine, or named in :data:`INSECURE`."""
    if registry in {one.strip() for one in environment.get(INSECURE, "").split(",")}:
        return True
    return urls.is_loopback(urls.origin(f"//{registry}")[1])


def _is_trusted(realm: str, *, secure: bool) -> bool:
    """Whether a token server may see credentials: over TLS, or as near as a registry without it is."""
    scheme, host, _ = urls.origin(realm)
    plain = scheme == "http" and not secure and may_be_plain(urls.host_of(realm))
    return bool(host) and (scheme == "https" or plain)


def _basic(known: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{known.username}:{known.password}".encode()).decode()
