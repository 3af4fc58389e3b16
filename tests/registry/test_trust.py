"""Who sees credentials: the registry and the token server that it names, and nobody that they refer to.

The registry is a host of loopback, and whoever is after its credentials another one.
"""

from __future__ import annotations

import ssl
import threading
from collections import deque
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from cog_nix.errors import RegistryError
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.registry import layout, pull, replicate
from cog_nix.registry.client import UNAUTHORIZED
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.destination import Destination
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter
from cog_nix.system.digests import digest_of
from tests.registry.pushing import push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

ALI = Credentials("ali", "tr0ub4dor")
REFRESH = Credentials(identity_token="r3fresh")  # noqa: S106 - of nobody
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Elsewhere:
    """A host that answers as it is told, and keeps what it saw."""

    host: str
    scheme: str = "http"
    answers: deque[Answer] = field(default_factory=deque)
    always: Answer = (404, {}, b"")
    paths: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    """Everything that came: request line, headers and body, one text a request."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def got(self, *secrets: str) -> bool:
        """Return whether one of the secrets, or any credentials, came here."""
        return any(
            "authorization:" in text.lower() or any(one in text for one in secrets) for text in self.seen
        )


@contextmanager
def elsewhere(address: str = "127.0.0.2", context: ssl.SSLContext | None = None) -> Iterator[Elsewhere]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.paths.append(f"{self.command} {self.path}")
            state.seen.append(f"{self.requestline}\n{self.headers}\n{body!r}")
            status, headers, text = state.answers.popleft() if state.answers else state.always
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do  # noqa: N815 - http.server's names

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Leave alone who hangs up."""

    server = Server((address, 0), Handler)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    state = Elsewhere(f"{address}:{server.server_address[1]}", "https" if context else "http")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def other() -> Iterator[Elsewhere]:
    with elsewhere() as state:
        yield state


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return what a server of loopback needs that clients of this test trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "127.0.0.2", "127.0.0.3", "localhost").configure_cert(context)
    for name in ("REQUESTS_CA_BUNDLE", "COG_CA_CERT", "CURL_CA_BUNDLE", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return context


def ask(host: str, folder: Path, known: Credentials = ALI) -> Any:
    """Pull an image of the registry."""
    return pull.pull(
        Reference.parse(f"{host}/me/model:v1"),
        known,
        folder=folder,
        held=lambda _: False,
        reporter=SilentReporter(),
        policy=RetryPolicy(attempts=2, delay=0.01),
    )


def challenge(realm: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"WWW-Authenticate": f'{scheme} realm="{realm}",service="s"'}


def manifest_of(layer: bytes, config: bytes) -> bytes:
    import json  # noqa: PLC0415 - only here

    def named(data: bytes) -> dict[str, Any]:
        return {"digest": digest_of(data), "size": len(data)}

    return json.dumps({"config": named(config), "layers": [named(layer)]}).encode()


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_host_that_a_manifest_is_redirected_to_gets_no_credentials(
    other: Elsewhere, tmp_path: Path, scheme: str, status: int
) -> None:
    other.always = (401, challenge(f"{other.url}/token", scheme), b"")
    with elsewhere("127.0.0.1") as registry:
        registry.always = (status, {"Location": f"{other.url}/m"}, b"")
        registry.answers.append((200, {}, b""))
        with pytest.raises(RegistryError, match=r"127\.0\.0\.2.* answered 401") as caught:
            ask(registry.host, tmp_path)
    assert other.seen
    assert not other.got("tr0ub4dor")
    assert "cog-nix login" not in str(caught.value.hint), "logging in would not help"


@pytest.mark.parametrize("known", [ALI, REFRESH, Credentials(registry_token="t0ken")], ids=str)  # noqa: S106
def test_a_host_that_a_blob_is_redirected_to_gets_no_credentials(
    other: Elsewhere, tmp_path: Path, known: Credentials
) -> None:
    other.always = (401, challenge(f"{other.url}/token"), b'{"token": "x"}')
    config = b'{"rootfs": {"diff_ids": ["sha256:1"]}}'
    with elsewhere("127.0.0.1") as registry:
        registry.answers.append((200, {}, b""))
        registry.answers.append((200, {}, manifest_of(b"layer", config)))
        registry.answers.append((200, {}, config))
        registry.always = (307, {"Location": f"{other.url}/blob"}, b"")
        with pytest.raises(RegistryError):
            ask(registry.host, tmp_path, known)
    assert other.paths == ["GET /blob"], "it is asked once, and its realm never"
    assert not other.got("tr0ub4dor", "r3fresh", "t0ken")


def test_a_host_that_the_greeting_is_redirected_to_gets_no_credentials(
    other: Elsewhere, tmp_path: Path
) -> None:
    other.always = (401, challenge("r", "Basic"), b"")
    with elsewhere("127.0.0.1") as registry:
        registry.always = (302, {"Location": f"{other.url}/v2/"}, b"")
        with pytest.raises(RegistryError):
            ask(registry.host, tmp_path)
    assert other.seen
    assert not other.got("tr0ub4dor")


def test_a_token_server_may_be_another_host(other: Elsewhere, tmp_path: Path) -> None:
    other.always = (200, {}, b'{"token": "x"}')
    with elsewhere("127.0.0.1") as registry:
        registry.answers.append((401, challenge(f"{other.url}/token"), b""))
        with pytest.raises(RegistryError):
            ask(registry.host, tmp_path)
        assert "authorization: bearer x" in registry.seen[1].lower()
    assert "authorization: basic" in other.seen[0].lower()


@pytest.mark.parametrize("known", [ALI, REFRESH], ids=["password", "refresh token"])
@pytest.mark.parametrize("status", [302, 307, 308])
def test_where_a_token_server_redirects_to_gets_no_credentials(
    other: Elsewhere, tmp_path: Path, known: Credentials, status: int
) -> None:
    with elsewhere("127.0.0.1") as registry, elsewhere("127.0.0.3") as realm:
        registry.always = (401, challenge(f"{realm.url}/token"), b"")
        realm.always = (status, {"Location": f"{other.url}/token"}, b"")
        with pytest.raises(RegistryError):
            ask(registry.host, tmp_path, known)
        assert realm.seen
    assert not other.got("tr0ub4dor", "r3fresh")


@pytest.mark.parametrize(
    "realm",
    [
        "http://auth.example.org/token",
        "http://192.0.2.1/token",
        "ftp://127.0.0.1/token",
        "/token",
        "http://[",
    ],
)
def test_realms_that_cannot_be_trusted(tmp_path: Path, realm: str) -> None:
    """Credentials go over TLS, or to this machine."""
    with elsewhere("127.0.0.1") as registry:
        registry.always = (401, challenge(realm), b"")
        with pytest.raises(RegistryError, match="names no token server that can be trusted"):
            ask(registry.host, tmp_path)


def test_a_registry_with_tls_has_no_realm_without(
    other: Elsewhere, tmp_path: Path, tls: ssl.SSLContext
) -> None:
    with elsewhere("127.0.0.1", tls) as registry:
        registry.always = (401, challenge(f"{other.url}/token"), b"")
        with pytest.raises(RegistryError, match="names no token server that can be trusted"):
            ask(registry.host, tmp_path)
    assert not other.seen


def test_a_redirect_from_tls_to_none_is_refused(
    other: Elsewhere, tmp_path: Path, tls: ssl.SSLContext
) -> None:
    with elsewhere("127.0.0.1", tls) as registry:
        registry.answers.append((200, {}, b""))
        registry.always = (307, {"Location": f"{other.url}/m?signature=s1gned"}, b"")
        with pytest.raises(RegistryError, match="without TLS") as caught:
            ask(registry.host, tmp_path)
    assert not other.seen
    assert "s1gned" not in str(caught.value)


def send(host: str, image: layout.Layout, cache: Path) -> Any:
    reference = Reference.parse(f"{host}/me/model:v1")
    return push(
        image,
        Destination(str(reference), reference),
        ALI,
        cache=cache,
        reporter=SilentReporter(),
        policy=RetryPolicy(attempts=2, delay=0.01),
    )


def _uploads_to(registry: Elsewhere, location: Mapping[str, str]) -> None:
    """Have a registry that knows ALI open each upload at another place."""
    registry.answers.append((401, challenge("r", "Basic"), b""))
    if registry.scheme == "https":  # otherwise the first question was only whether it has no TLS
        registry.answers.append((200, {}, b""))
    registry.answers.extend([(404, {}, b"")] * 3)
    registry.always = (202, dict(location), b"")


@pytest.mark.parametrize("status", [201, 401])
def test_uploads_to_another_host_carry_no_credentials(
    other: Elsewhere, make_layout: Callable[..., Path], tmp_path: Path, status: int
) -> None:
    """As registries have it that keep blobs with a cloud, behind URLs that are signed."""
    other.always = (status, challenge(f"{other.url}/token"), b"")
    with elsewhere("127.0.0.1") as registry:
        _uploads_to(registry, {"Location": f"{other.url}/bucket/1?signature=s"})
        with pytest.raises(RegistryError) if status == UNAUTHORIZED else nullcontext():
            send(registry.host, layout.read(make_layout(b"a")), tmp_path / "cache")
        assert all("authorization: basic" in text.lower() for text in registry.seen[1:])
    assert other.paths
    assert all(path.startswith("PUT /bucket/1?signature=s&digest=") for path in other.paths)
    assert not other.got("tr0ub4dor")


def test_uploads_of_a_registry_with_tls_go_over_tls(
    other: Elsewhere, make_layout: Callable[..., Path], tmp_path: Path, tls: ssl.SSLContext
) -> None:
    with elsewhere("127.0.0.1", tls) as registry:
        registry.always = (404, {}, b"")
        _uploads_to(registry, {"Location": f"http://{registry.host}/v2/me/model/blobs/uploads/1"})
        with pytest.raises(RegistryError, match="without TLS"):
            send(registry.host, layout.read(make_layout(b"a")), tmp_path / "cache")
        _uploads_to(registry, {"Location": f"{other.url}/bucket"})
        with pytest.raises(RegistryError, match="without TLS"):
            send(registry.host, layout.read(make_layout(b"a")), tmp_path / "cache")
    assert not other.seen


def test_no_host_can_leave_a_cookie(other: Elsewhere, tmp_path: Path) -> None:
    """Cookies know no ports and, where they name a domain, no hosts (RFC 6265, section 8.5)."""
    other.always = (200, {}, b'{"token": "x"}')
    with elsewhere("127.0.0.1") as registry:
        registry.always = (401, {**challenge(f"{other.url}/token"), "Set-Cookie": "session=s3ssion"}, b"")
        with pytest.raises(RegistryError):
            ask(registry.host, tmp_path)
        assert len(registry.seen) > 1
        assert not any("s3ssion" in text for text in [*registry.seen, *other.seen])


def test_no_proxy_sees_what_is_for_loopback(
    other: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", other.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with elsewhere("127.0.0.3") as registry:
        registry.always = (401, challenge("r", "Basic"), b"")
        with pytest.raises(RegistryError):
            ask(registry.host, tmp_path)
        assert registry.seen
    assert not other.seen


def test_a_registrys_default_port_may_be_named_or_not() -> None:
    from cog_nix.fetch.urls import origin  # noqa: PLC0415 - only here

    assert origin("https://Registry.example.org:443/v2/") == origin("https://registry.example.org/x")
    assert origin("https://registry.example.org") != origin("https://registry.example.org:444")
    assert origin("https://registry.example.org") != origin("http://registry.example.org")
    assert origin("https://registry.example.org@evil.example.org/") != origin("https://registry.example.org")


def test_a_pasted_token_is_not_handed_on(other: Elsewhere) -> None:
    with elsewhere("127.0.0.1") as registry:
        registry.always = (307, {"Location": f"{other.url}/verify"}, b"")
        with pytest.raises(RegistryError, match="307"):
            replicate.username(registry.url, "t0ken")
    assert not other.seen
