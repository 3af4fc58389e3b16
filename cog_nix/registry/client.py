"""One repository of one registry, over HTTP (OCI distribution-spec, version 1.1).

A request that fails for a passing reason is tried again with growing pauses, or after the time that the
registry asks for. What a connection broke off in the middle of is the uploader's to carry on with.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urljoin

from cog_nix.errors import FetchError, RegistryError
from cog_nix.fetch import client, urls
from cog_nix.fetch.retry import Cancelled, RetryPolicy
from cog_nix.fetch.transport import PARTIAL, RANGE_NOT_SATISFIABLE, Response, TransientError, whole_number
from cog_nix.registry.auth import Authorizer, Challenge, may_be_plain, refused
from cog_nix.registry.reference import DOCKER_HUB
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import TypeVar

    import httpx

    from cog_nix.registry.credentials import Credentials
    from cog_nix.registry.reference import Reference

    T = TypeVar("T")

OK, CREATED, ACCEPTED, NO_CONTENT, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 201, 202, 204, 401, 403, 404
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
    purpose: Literal["push", "pull"] = "push"

    def __post_init__(self) -> None:
        name = self.reference.repository
        rights = "pull,push" if self.purpose == "push" else "pull"
        scopes = [f"repository:{name}:{rights}", *(f"repository:{one}:pull" for one in self.sources)]
        self._auth = Authorizer(self.reference.registry, self.credentials, tuple(scopes), self.purpose)
        self._event = self.cancelled or threading.Event()
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
        used = self._auth.header if self._is_ours(url) else ""
        answer = self._send(method, url, headers, body, used)
        if self._transport(lambda: self._renewed(answer, used)):
            answer = self._send(method, url, headers, body, self._auth.header)
        if answer.status_code in expected:
            return answer
        raise self._failure(method, url, answer)

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
        with ExitStack() as stack:
            stack.enter_context(self._translated())
            used = self._auth.header
            answer = stack.enter_context(self._stream(url, headers, used))
            if self._renewed(answer, used):
                answer = stack.enter_context(self._stream(url, headers, self._auth.header))
            if answer.status_code not in {OK, PARTIAL, RANGE_NOT_SATISFIABLE}:
                answer.read()
                raise self._failure("GET", url, answer)
            yield Response(answer.status_code, answer.headers, answer.iter_raw())

    def retrying(self, action: Callable[[], T], *, again: Callable[[], None] = lambda: None) -> T:
        """Call ``action`` until it succeeds or has failed too often.

        Args:
            action: raises TransientError where another try may help.
            again: called before each further try.

        Raises:
            RegistryError: it failed for good.
            Cancelled: the work was given up.
        """
        for attempt in range(1, self.policy.attempts + 1):
            try:
                return action()
            except TransientError as error:
                if attempt == self.policy.attempts:
                    raise self.unreachable(error, attempt) from error
                self.wait(attempt, error)
                again()
        raise AssertionError("unreachable")

    def wait(self, failures: int, error: TransientError) -> None:
        """Wait before another try: longer each time, and as long as the registry asks for.

        Raises:
            Cancelled: the work was given up.
        """
        # Jitter keeps the parallel uploads from knocking in step.
        pause = min(self.policy.delay * 2 ** (failures - 1), self.policy.longest) * random.uniform(0.75, 1.25)  # noqa: S311
        if self._event.wait(max(pause, error.wait)):
            raise Cancelled from error

    def unreachable(self, error: TransientError, attempts: int) -> RegistryError:
        """Return the error for a registry that kept failing."""
        host = self.reference.registry
        pushing = self.purpose == "push"
        direction = "to" if pushing else "from"
        kept = "What was uploaded is there" if pushing else "What has come is kept"
        return RegistryError(
            f"cannot {self.purpose} {direction} {host} (after {attempts} attempts): {error.reason}",
            hint=f"Check that {host} can be reached from here. {kept}: run this again.",
        )

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
        self._transport(lambda: self._renewed(answer, ""))
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

    def _send(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: Body, authorization: str
    ) -> httpx.Response:
        sent = {**(headers or {}), **({"Authorization": authorization} if authorization else {})}
        return self._transport(lambda: self._client.request(method, url, headers=sent, content=body))

    def _transport(self, action: Callable[[], T]) -> T:
        with self._translated():
            return action()

    def _stream(
        self, url: str, headers: Mapping[str, str] | None, authorization: str
    ) -> AbstractContextManager[httpx.Response]:
        # Bytes must come as they are stored: their digest is what is checked.
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        return self._client.stream(
            "GET", url, headers={**sent, **({"Authorization": authorization} if authorization else {})}
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what the connection raises into our own errors."""
        import httpx  # noqa: PLC0415 - see new_client

        try:
            yield
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL, UnicodeError) as error:
            raise RegistryError(
                f"{self.reference.registry} sent a URL that leads nowhere: {error}"
            ) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise _untrusted(self.reference.registry, error) from error
            raise TransientError(str(error) or type(error).__name__) from error

    def _failure(self, method: str, url: str, answer: httpx.Response) -> Exception:
        status = answer.status_code
        if status in _PASSING:
            wait = answer.headers.get("retry-after", "")
            said = f"the registry answered {status} {answer.reason_phrase}".rstrip()
            return TransientError(said, wait=min(whole_number(wait) or 0, _LONGEST_WAIT))
        if status in {UNAUTHORIZED, FORBIDDEN} and not self._is_ours(str(answer.url)):
            registry = self.reference.registry
            return RegistryError(
                f"{registry} refers to {urls.host_of(str(answer.url))}, which answered {status}",
                hint=f"Run this again; ask whoever runs {registry} if it stays so.",
                status=status,
            )
        if status in {UNAUTHORIZED, FORBIDDEN}:
            return refused(self.reference.registry, self.credentials, status, self.purpose)
        what = urls.split(url).path.rpartition(f"/{self.reference.repository}/")[2]
        said = _complaint(answer)
        return RegistryError(
            f"{self.reference.registry} refused {method} {what} of {self.reference.repository}: "
            f"{status} {answer.reason_phrase}{said}",
            hint=self._missing() if status == NOT_FOUND else f"Ask whoever runs {self.reference.registry}.",
            status=status,
        )

    def _missing(self) -> str:
        if self.purpose == "pull":
            return "Check the name and the tag."
        return "Check the name of the repository, and whether the registry creates new ones by itself."


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
    location = str(answer.headers.get("location", ""))
    if not location:
        raise RegistryError(f"{answer.url.host} does not say where to upload to (no Location header)")
    try:
        where = urljoin(str(answer.url), location)
    except ValueError as error:
        raise RegistryError(f"{answer.url.host} wants uploads at {location!r}, which is no URL") from error
    if answer.url.scheme == "https" and not where.startswith("https:"):
        raise RegistryError(
            f"{answer.url.host} wants uploads at {urls.shown(where)}, which is without TLS",
            hint=f"Ask whoever runs {answer.url.host}: it may not know of a proxy before it that has TLS.",
        )
    return where


def _complaint(answer: httpx.Response) -> str:
    """Return what a registry's JSON says of an error (spec, "Error Codes"), for people."""
    try:
        data: Any = jsonvalue.loads(answer.content)
        said = "; ".join(f"{one.get('code', '')}: {one.get('message', '')}" for one in data["errors"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return f"\n  {said[:_SHOWN]}"


def _untrusted(host: str, error: Exception) -> RegistryError:
    return RegistryError(
        f"the certificate of {host} is not trusted\n  {error}",
        hint="Set COG_CA_CERT to a file with your organisation's certificate authorities (PEM).",
    )
