"""Opens URLs: HTTP with the machine's proxies, certificates and credentials, and local files.

A failure is either :class:`~cog_nix.fetch.failures.TransientError`, worth another try, or a
:class:`~cog_nix.errors.FetchError` to show.
"""

from __future__ import annotations

import errno
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self

from cog_nix.errors import FetchError
from cog_nix.fetch import urls
from cog_nix.fetch.client import new_client
from cog_nix.fetch.failures import StatusError, TransientError, UntrustedError, UnusableUrlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import httpx

    from cog_nix.errors import CogNixError

CHUNK = 1 << 18
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
OK, PARTIAL, NOT_MODIFIED, RANGE_NOT_SATISFIABLE = 200, 206, 304, 416
_ERROR = 400
_NUMBER = re.compile("[0-9]{1,18}")


@dataclass(frozen=True)
class Response:
    """An answer whose body is read as it comes."""

    status: int
    """200, 206, 304 or 416."""
    headers: Mapping[str, str]
    """Names in lower case."""
    chunks: Iterator[bytes]


class Opener(Protocol):
    """Opens URLs: :class:`Transport`, or a repository of a registry."""

    def open(self, url: str, headers: Mapping[str, str] | None = None) -> AbstractContextManager[Response]:
        """Ask for a URL; raises TransientError where another try may help."""


@dataclass
class Transport:
    """Opens URLs over one pool of connections; use it as a context manager.

    Args:
        credentials: user and password by origin (:func:`cog_nix.fetch.urls.origin`).
        longest_wait: seconds that a server may make us wait before the next attempt.
    """

    credentials: Mapping[urls.Origin, urls.Credentials] = field(default_factory=dict)
    longest_wait: float = 30.0
    _client: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def prepare(self) -> None:
        """Make the client now, so that threads need not agree on who does."""
        if self._client is None:
            self._client = new_client(
                timeout=30,
                connections=16,
                # Bytes must come as they are stored: their hash is what is checked.
                headers={"Accept-Encoding": "identity"},
            )

    @contextmanager
    def open(
        self, url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET"
    ) -> Iterator[Response]:
        """Ask for a URL.

        Args:
            url: ``http``, ``https`` or ``file``.
            headers: further request headers; ``Range`` is honoured for files too.
            method: ``GET`` or ``HEAD``.

        Raises:
            TransientError: worth another try.
            FetchError: the server refuses, or there is nothing there.
        """
        scheme = urls.split(url).scheme
        if scheme == "file":
            with _open_file(url, headers or {}) as response:
                yield response
        elif scheme in {"http", "https"} and urls.host_of(url):
            with self._open_http(url, headers or {}, method) as response:
                yield response
        else:
            raise UnusableUrlError(
                url,
                "cog-nix reads http, https and file URLs",
                hint="Correct the URL in the configuration or the lock.",
            )

    @contextmanager
    def _open_http(self, url: str, headers: Mapping[str, str], method: str) -> Iterator[Response]:
        self.prepare()
        assert self._client is not None  # noqa: S101 - for the type checker
        auth = None
        if "Authorization" not in headers:  # who names it knows better
            auth = urls.credentials_in(url) or self.credentials.get(urls.origin(url))
            auth = auth or urls.netrc_credentials(url)
        plain = urls.without_credentials(url)
        with (
            translated(partial(UnusableUrlError, url), partial(UntrustedError, url)),
            self._client.stream(method, plain, headers=headers, auth=auth) as answer,
        ):
            _check_status(url, answer, self.longest_wait)
            # As the bytes come, not in chunks of a size: what is buffered when it breaks off is lost.
            yield Response(answer.status_code, answer.headers, answer.iter_raw())


@contextmanager
def translated(
    unusable: Callable[[str], CogNixError], untrusted: Callable[[str], CogNixError]
) -> Iterator[None]:
    """Turn what a connection raises into a TransientError, or into what these make of the reason.

    Args:
        unusable: for a URL that cannot be requested.
        untrusted: for a certificate that nobody vouches for.
    """
    import httpx  # noqa: PLC0415 - costs a tenth of a second; a build with a full cache never needs it

    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL, UnicodeError) as error:
        raise unusable(str(error)) from error
    except (httpx.TransportError, httpx.DecodingError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):  # OpenSSL's; httpx has no class for it
            raise untrusted(str(error)) from error
        connected = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
        raise TransientError(_reason(error), connected=connected) from error


def _check_status(url: str, answer: httpx.Response, longest_wait: float) -> None:
    status, phrase = answer.status_code, answer.reason_phrase
    if status < _ERROR or status == RANGE_NOT_SATISFIABLE:
        return
    if status in _RETRIED:
        said = f"the server answered {status} {phrase}".strip()
        raise TransientError(said, wait=retry_after(answer, longest_wait))
    raise StatusError(url, status, phrase)


def retry_after(answer: httpx.Response, longest: float) -> float:
    """Return the seconds that a server asks to wait (RFC 9110, section 10.2.3), at most ``longest``."""
    return min(whole_number(answer.headers.get("retry-after", "")) or 0, longest)


def whole_number(text: str) -> int | None:
    """Return the number that a header or a variable is (RFC 9110, section 8.6: digits of ASCII alone).

    Returns:
        None: it is none, or larger than any file is.
    """
    return int(text) if _NUMBER.fullmatch(text) else None


def _reason(error: Exception) -> str:
    import httpx  # noqa: PLC0415 - see above

    if isinstance(error, httpx.ConnectTimeout):
        return "no connection within 15 seconds"
    if isinstance(error, httpx.TimeoutException):
        return "no answer for 30 seconds"
    return str(error) or type(error).__name__


@contextmanager
def _open_file(url: str, headers: Mapping[str, str]) -> Iterator[Response]:
    path = urls.local_path(url)
    offset = int(headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    try:
        size = _size_of(path)
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FetchError(f"cannot read {path}: {why}", hint="Correct the file URL, or lock again.") from error
    with stream:
        stream.seek(offset)
        known = {
            "content-length": str(max(size - offset, 0)),
            "content-range": f"bytes {offset}-{size}/{size}",
        }
        yield Response(PARTIAL if offset else OK, known, iter(lambda: stream.read(CHUNK), b""))


def _size_of(path: Path) -> int:
    """Return a file's size in bytes; a FIFO or a device would make us wait, or never end."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    return status.st_size
