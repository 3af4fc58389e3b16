"""Opens URLs: HTTP with the machine's proxies, certificates and credentials, and local files.

A failure is either :class:`TransientError`, worth another try, or a :class:`FetchError` to show.
"""

from __future__ import annotations

import errno
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from cog_nix.errors import FetchError
from cog_nix.fetch import urls
from cog_nix.fetch.client import new_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import httpx

CHUNK = 1 << 18
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
OK, PARTIAL, NOT_MODIFIED, RANGE_NOT_SATISFIABLE = 200, 206, 304, 416
_ERROR = 400
_NUMBER = re.compile("[0-9]{1,18}")


class TransientError(Exception):
    """Something that another attempt may mend.

    Args:
        reason: what happened, in a few words.
        wait: seconds that the server asks to wait (RFC 9110, section 10.2.3).
    """

    def __init__(self, reason: str, *, wait: float = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


@dataclass(frozen=True)
class Response:
    """An answer whose body is read as it comes."""

    status: int
    """200, 206, 304 or 416."""
    headers: Mapping[str, str]
    """Names in lower case."""
    chunks: Iterator[bytes]


@dataclass
class Transport:
    """Opens URLs over one pool of connections; use it as a context manager.

    Args:
        credentials: user and password by origin (:func:`cog_nix.fetch.urls.origin`).
    """

    credentials: Mapping[urls.Origin, urls.Credentials] = field(default_factory=dict)
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
            raise FetchError(
                f"cannot fetch {urls.shown(url)}: cog-nix reads http, https and file URLs",
                hint="Correct the URL in the configuration or the lock.",
            )

    @contextmanager
    def _open_http(self, url: str, headers: Mapping[str, str], method: str) -> Iterator[Response]:
        import httpx  # noqa: PLC0415 - costs a tenth of a second; a build with a full cache never needs it

        self.prepare()
        assert self._client is not None  # noqa: S101 - for the type checker
        auth = (
            urls.credentials_in(url) or self.credentials.get(urls.origin(url)) or urls.netrc_credentials(url)
        )
        try:
            with self._client.stream(
                method, urls.without_credentials(url), headers=headers, auth=auth
            ) as answer:
                _check_status(url, answer.status_code, answer.reason_phrase, answer.headers)
                # As the bytes come, not in chunks of a size: what is buffered when it breaks off is lost.
                yield Response(answer.status_code, answer.headers, answer.iter_raw())
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL, UnicodeError) as error:
            raise FetchError(
                f"cannot fetch {urls.shown(url)}: {error}", hint="Correct the URL, or name another mirror."
            ) from error
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise _untrusted(url, error) from error
            raise TransientError(_reason(error)) from error


def _check_status(url: str, status: int, phrase: str, headers: Mapping[str, str]) -> None:
    if status < _ERROR or status == RANGE_NOT_SATISFIABLE:
        return
    said = f"{status} {phrase}".strip()
    if status in _RETRIED:
        raise TransientError(f"the server answered {said}", wait=_retry_after(headers))
    host = urls.host_of(url)
    hints = {
        401: f"Put the credentials for {host} into ~/.netrc or into the URL of the index.",
        403: f"Check that you may read from {host}; put credentials into ~/.netrc when it needs them.",
        404: "The server no longer holds this file: lock again, or name a mirror that still has it.",
        407: "Put the proxy's user and password into HTTPS_PROXY (http://USER:PASSWORD@HOST:PORT).",
        410: "The server no longer holds this file: lock again, or name a mirror that still has it.",
    }
    raise FetchError(
        f"cannot fetch {urls.filename_of(url) or host}: {host} answered {said}\n  {urls.shown(url)}",
        hint=hints.get(status, f"Ask whoever runs {host}, or name another mirror."),
    )


def _retry_after(headers: Mapping[str, str]) -> float:
    value = headers.get("retry-after", "")
    return float(min(whole_number(value) or 0, 30))


def whole_number(text: str) -> int | None:
    """Return the number that a header or a variable is (RFC 9110, section 8.6: digits of ASCII alone).

    Returns:
        None: it is none, or larger than any file is.
    """
    return int(text) if _NUMBER.fullmatch(text) else None


def _untrusted(url: str, error: Exception) -> FetchError:
    host = urls.host_of(url)
    return FetchError(
        f"cannot fetch {urls.filename_of(url) or host}: the certificate of {host} is not trusted\n"
        f"  {urls.shown(url)}\n  {error}",
        hint="Set SSL_CERT_FILE to a file with your organisation's certificate authorities (PEM).",
    )


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
        raise OSError(errno.EINVAL, "it is no plain file")
    return status.st_size
