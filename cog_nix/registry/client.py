"""One repository of one registry, over HTTP (OCI distribution-spec, version 1.1).

A request that fails for a passing reason is tried again with growing pauses, or after the time that the
registry asks for. What a connection broke off in the middle of is the uploader's to carry on with.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

from cog_nix.errors import FetchError, RegistryError
from cog_nix.fetch import client, urls
from cog_nix.fetch.failures import TransientError
from cog_nix.fetch.retry import RetryPolicy, retry
from cog_nix.fetch.transport import PARTIAL, RANGE_NOT_SATISFIABLE, Response, retry_after, translated
from cog_nix.registry.auth import Authorizer, Challenge, may_be_plain
from cog_nix.registry.failures import (
    NOT_FOUND,
    LoginError,
    Purpose,
    RefusedError,
    RegistryUnreachableError,
    UntrustedRegistryError,
    UnusableAnswerError,
)
from cog_nix.registry.reference import DOCKER_HUB
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import TypeVar

    import httpx

    from cog_nix.registry.credentials import Credentials
    from cog_nix.registry.reference import Reference

    T = TypeVar("T")

OK, CREATED, ACCEPTED, NO_CONTENT, UNAUTHORIZED, FORBIDDEN = 200, 201, 202, 204, 401, 403
_PASSING = frozenset({408, 425, 429, 499, 500, 502, 503, 504, 522})
_ERROR = 400
_LONGEST_WAIT = 60.0
_HUB_HOST = "registry-1.docker.io"
_SHOWN = 300

Body = bytes | Iterable[bytes] | None


@dataclass
class Repository:
    """Talks to a registry about one repository; threads may share it. Use it as a context manager.

    Args:
        reference: registry and repository.
        credentials: empty for nobody in particular.
        sources: other repositories of the registry that blobs may be mounted from.
        policy: how often to try again.
        cancelled: ends all waiting when set.
        purpose: which rights to ask for.
    """

    reference: Reference
    credentials: Credentials
    sources: tuple[str, ...] = ()
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    cancelled: threading.Event | None = None
    purpose: Purpose = "push"

    def __post_init__(self) -> None:
        name = self.reference.repository
        rights = "pull,push" if self.purpose == "push" else "pull"
        scopes = [f"repository:{name}:{rights}", *(f"repository:{one}:pull" for one in self.sources)]
        self._auth = Authorizer(self.reference.registry, self.credentials, tuple(scopes), self.purpose)
        self._host = _HUB_HOST if self.reference.registry == DOCKER_HUB else self.reference.registry
        self._client = new_client(self._host)
        self._scheme = "https"

    def __enter__(self) -> Self:
        try:
            self.retrying(self._greet)
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def include(self, sources: Iterable[str]) -> None:
        """Ask for the right to mount from these repositories as well."""
        self._auth.widen(f"repository:{one}:pull" for one in sources)

    def url(self, path: str) -> str:
        """Return the URL of something in the repository: ``blobs/…``, ``manifests/…``."""
        return f"{self._scheme}://{self._host}/v2/{self.reference.repository}/{path}"

    def request(
        self,
        method: str,
        url: str,
        *,
        expected: tuple[int, ...],
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> httpx.Response:
        """Send one request and return the answer, its body read.

        A 401 is answered once, with credentials or a new token, if the registry itself asks for them; other
        hosts, where a registry may send uploads to, never see them.

        Args:
            method: HTTP's.
            url: absolute.
            expected: status codes that are no failure.
            headers: further ones.
            body: bytes, or something that yields them and can be asked to do so again.

        Raises:
            TransientError: worth another try.
            RegistryError: the registry refuses.
        """
        with self._translated():
            used = self._auth.header if self._is_ours(url) else ""
            answer = self._client.request(method, url, headers=_with(headers, used), content=body)
            if self._renewed(answer, used):
                renewed = _with(headers, self._auth.header)
                answer = self._client.request(method, url, headers=renewed, content=body)
        if answer.status_code in expected:
            return answer
        raise self._failure(method, url, answer)

    def send(
        self,
        method: str,
        path: str,
        expected: tuple[int, ...],
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> httpx.Response:
        """Do :meth:`request` for something in the repository, as often as it takes.

        Raises:
            RegistryError: the registry refuses, or cannot be reached.
            Cancelled: the work was given up.
        """
        url = self.url(path)
        return self.retrying(lambda: self.request(method, url, expected=expected, headers=headers, body=body))

    @contextmanager
    def open(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Response]:
        """Ask for something large, whose body is read as it comes.

        The registry may send us on to another host, which never sees our credentials.

        Args:
            url: absolute.
            headers: further ones; ``Range`` asks for the rest (spec, "Pulling blobs").

        Raises:
            TransientError: worth another try; also while the body is read.
            RegistryError: the registry refuses.
        """
        # Bytes must come as they are stored: their digest is what is checked.
        headers = {"Accept-Encoding": "identity", **(headers or {})}
        with ExitStack() as stack:
            stack.enter_context(self._translated())
            used = self._auth.header
            answer = stack.enter_context(self._client.stream("GET", url, headers=_with(headers, used)))
            if self._renewed(answer, used):
                renewed = _with(headers, self._auth.header)
                answer = stack.enter_context(self._client.stream("GET", url, headers=renewed))
            if answer.status_code not in {OK, PARTIAL, RANGE_NOT_SATISFIABLE}:
                answer.read()
                raise self._failure("GET", url, answer)
            yield Response(answer.status_code, answer.headers, answer.iter_raw())

    def retrying(
        self,
        action: Callable[[], T],
        *,
        progress: Callable[[], int] = lambda: 0,
        again: Callable[[], object] = lambda: None,
    ) -> T:
        """Call ``action`` until it succeeds or has failed too often (:func:`cog_nix.fetch.retry.retry`).

        Raises:
            RegistryError: it failed for good.
            Cancelled: the work was given up.
        """
        failure = partial(RegistryUnreachableError, self.reference.registry, self.purpose)
        return retry(action, self.policy, failure, cancelled=self.cancelled, progress=progress, again=again)

    def _greet(self) -> None:
        """Find out which scheme the registry speaks and what it wants to see ("Determining Support")."""
        if may_be_plain(self.reference.registry):
            self._scheme = "http"
            if self._speaks_plainly():
                return
            self._scheme = "https"
        self.request("GET", f"{self._scheme}://{self._host}/v2/", expected=(OK, UNAUTHORIZED, NOT_FOUND))

    def _speaks_plainly(self) -> bool:
        """Whether a registry answers without TLS; one with TLS says 400 or hangs up."""
        import httpx  # noqa: PLC0415 - see new_client

        try:
            answer = self._client.get(f"http://{self._host}/v2/")
        except httpx.ConnectError as error:
            raise TransientError(str(error)) from error
        except (httpx.RequestError, httpx.InvalidURL):
            return False
        with self._translated():
            self._renewed(answer, "")
        return answer.status_code != _ERROR

    def _is_ours(self, url: str) -> bool:
        """Whether a URL is the registry's own, spoken to as it was greeted: it alone sees credentials."""
        return urls.origin(url) == urls.origin(f"{self._scheme}://{self._host}")

    def _renewed(self, answer: httpx.Response, used: str) -> bool:
        """Whether a 401 came from the registry itself, and there is another header to ask it with."""
        if answer.status_code != UNAUTHORIZED or not self._is_ours(str(answer.url)):
            return False
        challenge = Challenge.parse(answer.headers.get("www-authenticate", ""))
        return self._auth.renew(self._client, challenge, used, secure=self._scheme == "https")

    def _translated(self) -> AbstractContextManager[None]:
        """Turn what the connection raises into our own errors."""
        registry = self.reference.registry
        return translated(
            lambda reason: UnusableAnswerError(registry, f"sent a URL that cannot be requested: {reason}"),
            partial(UntrustedRegistryError, registry),
        )

    def _failure(self, method: str, url: str, answer: httpx.Response) -> Exception:
        status, registry = answer.status_code, self.reference.registry
        if status in _PASSING:
            said = f"the registry answered {status} {answer.reason_phrase}".rstrip()
            return TransientError(said, wait=retry_after(answer, _LONGEST_WAIT))
        if status in {UNAUTHORIZED, FORBIDDEN}:
            if self._is_ours(str(answer.url)):
                return LoginError(registry, self.credentials, status, self.purpose)
            return UnusableAnswerError(
                registry,
                f"refers to {urls.host_of(str(answer.url))}, which answered {status}",
                hint=f"Run this again; ask whoever runs {registry} if it stays so.",
                status=status,
            )
        what = urls.split(url).path.rpartition(f"/{self.reference.repository}/")[2]
        said = _errors_of(answer)
        return RefusedError(
            self.reference, f"{method} {what}", (status, answer.reason_phrase), said, self.purpose
        )


def _with(headers: Mapping[str, str] | None, authorization: str) -> dict[str, str]:
    return {**(headers or {}), **({"Authorization": authorization} if authorization else {})}


def new_client(host: str = "") -> httpx.Client:
    """Return a client with the machine's proxies and certificates.

    Args:
        host: of the registry, with its port.

    Raises:
        RegistryError: the proxy's settings cannot be used, or the certificates cannot be read.
    """
    # No proxy reaches this machine's own registries.
    direct = {"127.0.0.1", "localhost", "[::1]"}
    name = urls.origin(f"//{host}")[1]
    if urls.is_loopback(name):
        direct.add(f"[{name}]" if ":" in name else name)
    try:
        return client.new_client(timeout=60, connections=32, direct=sorted(direct))
    except FetchError as error:
        raise RegistryError(error.message, hint=error.hint) from error


def absolute(answer: httpx.Response) -> str:
    """Return an answer's Location, which may be relative (RFC 9110, section 10.2.2).

    Raises:
        RegistryError: there is none, or it leads from TLS to plain HTTP.
    """
    location, host = str(answer.headers.get("location", "")), answer.url.host
    if not location:
        raise UnusableAnswerError(host, "does not say where to upload to (no Location header)")
    try:
        where = urljoin(str(answer.url), location)
    except ValueError as error:
        raise UnusableAnswerError(host, f"wants uploads at {location!r}, which is not a URL") from error
    if answer.url.scheme == "https" and not where.startswith("https:"):
        raise UnusableAnswerError(
            host,
            f"wants uploads at {urls.shown(where)}, which is without TLS",
            hint=f"Ask whoever runs {host}: it may not know of a proxy before it that has TLS.",
        )
    return where


def _errors_of(answer: httpx.Response) -> str:
    """Return what a registry's JSON says of an error (spec, "Error Codes"), for people."""
    try:
        data: Any = jsonvalue.loads(answer.content)
        said = "; ".join(f"{one.get('code', '')}: {one.get('message', '')}" for one in data["errors"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return said[:_SHOWN]
