"""Binary caches in buckets: S3's protocol for every Nix, as Debian's is built without it.

Nix is given a URL of this machine; what it asks for there is asked of the bucket, signed with the user's
credentials (AWS Signature Version 4). Bodies pass through as they come. Only this user's processes and root's
are answered, since whoever is answered acts with these credentials.

A URL is as Nix has it (Nix manual, "S3 Binary Cache Store")::

    s3://BUCKET?region=eu-west-1&endpoint=HOST:PORT&scheme=http&profile=NAME
"""

from __future__ import annotations

import configparser
import datetime as dt
import hashlib
import hmac
import os
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from cog_nix.errors import ConfigError
from cog_nix.fetch.client import new_client
from cog_nix.store.failures import NotACacheError
from cog_nix.store.serving import Handler, Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from cog_nix.store.caches import Caches

SCHEME = "s3"
_REGION = "us-east-1"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_CHUNK = 1 << 18
_PASSED = ("content-length", "content-type", "content-encoding", "last-modified")
_HERE = ("127.0.0.1", "localhost", "[::1]")
"""No proxy reaches these."""
_SOCKETS = ("/proc/net/tcp", "/proc/net/tcp6")


class NoProfileError(ConfigError):
    """There are no credentials of a profile.

    Args:
        profile: its name.
        file: where they were looked for.
    """

    def __init__(self, profile: str, file: str) -> None:
        super().__init__(hint="This makes variables of them:  aws configure export-credentials --format env")
        self.profile, self.file = profile, file

    def __str__(self) -> str:
        return f"There are no credentials of the profile {self.profile} in {self.file}."


@dataclass(frozen=True)
class Credentials:
    """Whose bucket it is."""

    key: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)

    @classmethod
    def find(cls, environment: Mapping[str, str], profile: str = "") -> Credentials | None:
        """Return the environment's, or a profile's of ``~/.aws/credentials``; None: there are none.

        Raises:
            ConfigError: the profile is not there.
        """
        if not profile and (key := environment.get("AWS_ACCESS_KEY_ID")):
            secret = environment.get("AWS_SECRET_ACCESS_KEY", "")
            return cls(key, secret, environment.get("AWS_SESSION_TOKEN", ""))
        named = profile or environment.get("AWS_PROFILE", "")
        file = environment.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
        parser = configparser.ConfigParser(interpolation=None)
        with suppress(OSError, configparser.Error, UnicodeDecodeError):
            parser.read(Path(file).expanduser(), encoding="utf-8")
        section = named or "default"
        if parser.has_option(section, "aws_access_key_id"):
            values = parser[section]
            secret = values.get("aws_secret_access_key", "")
            return cls(values["aws_access_key_id"], secret, values.get("aws_session_token", ""))
        if named:
            raise NoProfileError(named, file)
        return None


@dataclass(frozen=True)
class Bucket:
    """A bucket, and how it is asked."""

    base: str
    """URL without a slash at its end."""
    region: str
    credentials: Credentials | None
    """None: the bucket is public."""

    @classmethod
    def parse(cls, url: str, environment: Mapping[str, str]) -> Bucket:
        """Read a URL.

        Raises:
            ConfigError: it names no bucket, or a profile that is not there.
        """
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        if not parts.netloc:
            raise NotACacheError(url, "names no bucket", hint="Write s3://BUCKET?region=REGION")
        region = query.get("region") or environment.get("AWS_REGION") or _REGION
        host = query.get("endpoint") or f"s3.{region}.amazonaws.com"
        base = host if "://" in host else f"{query.get('scheme', 'https')}://{host}"
        folder = parts.path.strip("/")
        path = "/".join(filter(None, [parts.netloc, folder]))
        return cls(
            f"{base.rstrip('/')}/{path}", region, Credentials.find(environment, query.get("profile", ""))
        )

    def url(self, path: str) -> str:
        """Return the URL of a file."""
        return f"{self.base}/{quote(path.lstrip('/'), safe='/-_.~')}"

    def headers(self, method: str, url: str, now: dt.datetime) -> dict[str, str]:
        """Return what signs a request (AWS Signature Version 4, "Create a signed request")."""
        if self.credentials is None:
            return {}
        parts, time = urlsplit(url), now.strftime("%Y%m%dT%H%M%SZ")
        signed = {"host": parts.netloc, "x-amz-content-sha256": _UNSIGNED, "x-amz-date": time}
        if self.credentials.token:
            signed["x-amz-security-token"] = self.credentials.token
        names = ";".join(signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        request = f"{method}\n{parts.path}\n\n{lines}\n{names}\n{_UNSIGNED}"
        scope = f"{time[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = f"AWS4{self.credentials.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        credential = f"AWS4-HMAC-SHA256 Credential={self.credentials.key}/{scope}"
        authorization = f"{credential}, SignedHeaders={names}, Signature={signature}"
        return {**signed, "authorization": authorization}


@contextmanager
def opened(caches: Caches) -> Iterator[Caches]:
    """Yield the same caches with URLs that every Nix can open, for as long as this lasts.

    Raises:
        ConfigError: one of them names no bucket.
    """
    with ExitStack() as stack:
        urls = (stack.enter_context(reachable(url)) for url in caches.substituters)
        yield replace(caches, substituters=tuple(urls))


@contextmanager
def reachable(url: str) -> Iterator[str]:
    """Yield a URL that every Nix can open: this machine's for a bucket, any other as it is.

    Raises:
        ConfigError: it names no bucket.
    """
    if urlsplit(url).scheme != SCHEME:
        yield url
        return
    bucket = Bucket.parse(url, os.environ)
    with new_client(timeout=60, connections=32, direct=_HERE) as client:
        handler: type[_Requests] = type("Requests", (_Requests,), {"bucket": bucket, "client": client})
        server = Server(("127.0.0.1", 0), handler)
        port = handler.port = int(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.shutdown()
            server.server_close()


class _Requests(Handler):
    """Passes requests on."""

    bucket: Bucket
    client: httpx.Client
    port: int

    def _pass_on(self) -> None:
        import httpx  # noqa: PLC0415 - most builds have no bucket

        if owner_of(self.client_address[1], self.port) not in (os.geteuid(), 0):
            self.send_error(403)
            return
        url = self.bucket.url(urlsplit(self.path).path)
        signed = self.bucket.headers(self.command, url, dt.datetime.now(dt.UTC))
        length = int(self.headers.get("Content-Length") or 0)
        if self.command == "PUT":
            signed["content-length"] = str(length)
        try:
            body = self._body(length) if self.command == "PUT" else None
            with self.client.stream(self.command, url, headers=signed, content=body) as answer:
                self._answer(answer)
        except httpx.HTTPError as error:
            self.close_connection = True
            with suppress(OSError):
                self.send_error(502, f"{type(error).__name__}")

    do_GET = do_HEAD = do_PUT = _pass_on  # noqa: N815 - http.server's names

    def _body(self, length: int) -> Iterator[bytes]:
        while length and (chunk := self.rfile.read(min(_CHUNK, length))):
            length -= len(chunk)
            yield chunk

    def _answer(self, answer: httpx.Response) -> None:
        # Who may not list a bucket is told "forbidden" for what is not in it.
        missing = answer.status_code == 403 and self.command != "PUT"  # noqa: PLR2004 - HTTP's
        self.send_response(404 if missing else answer.status_code)
        headers = {name: answer.headers[name] for name in _PASSED if name in answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in headers:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            for chunk in answer.iter_raw(_CHUNK):
                self.wfile.write(chunk)


def owner_of(port: int, server: int) -> int | None:
    """Return the user of a connection from this machine to this machine (proc(5), ``/proc/net/tcp``).

    Args:
        port: the client's.
        server: the other end's.
    """
    ends = (f":{port:04X}", f":{server:04X}")
    for table in _SOCKETS:
        with suppress(OSError), Path(table).open(encoding="ascii") as lines:
            for fields in map(str.split, lines):
                if len(fields) > 7 and fields[1].endswith(ends[0]) and fields[2].endswith(ends[1]):  # noqa: PLR2004
                    return int(fields[7])
    return None
