"""COG_CA_CERT: its forms, what is wrong with others, and a server that only it makes trusted."""

from __future__ import annotations

import base64
import http.server
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
import trustme

from cog_nix.errors import ConfigError, FetchError
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.report import SilentReporter
from cog_nix.system import certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return a certificate authority that nobody knows."""
    return trustme.CA()


@pytest.fixture(scope="module")
def pem(authority: trustme.CA) -> str:
    """Return its certificate."""
    return authority.cert_pem.bytes().decode()


@pytest.mark.parametrize("form", ["file", "text", "base64"])
def test_every_form_gives_the_same_certificate(form: str, pem: str, tmp_path: Path) -> None:
    path = tmp_path / "ca.der.is.not.looked.at"
    path.write_text(f"\n{pem}\n\n")
    value = {"file": str(path), "text": f" {pem}", "base64": base64.b64encode(pem.encode()).decode()}[form]
    assert certificate.read({"COG_CA_CERT": value}) == pem.strip() + "\n"


def test_a_folder_stands_for_its_certificates_in_order(pem: str, tmp_path: Path) -> None:
    other = trustme.CA().cert_pem.bytes().decode()
    (tmp_path / "b.PEM").write_text(pem.strip())
    (tmp_path / "a.crt").write_text(other)
    (tmp_path / "notes.txt").write_text("no certificate")
    (tmp_path / "folder.crt").mkdir()
    assert certificate.read({"COG_CA_CERT": str(tmp_path)}) == other.strip() + "\n" + pem.strip() + "\n"


@pytest.mark.parametrize("environment", [{}, {"COG_CA_CERT": ""}, {"COG_CA_CERT": " \n"}], ids=repr)
def test_without_one_nothing_is_trusted_more(environment: dict[str, str], tmp_path: Path) -> None:
    assert certificate.read(environment) == ""
    assert certificate.trust(environment, tmp_path) == {}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("/not/there.crt", "invalid value - must be a file path, directory, PEM certificate, or base64"),
        ("aGVsbG8=", "invalid value"),
        ("\0", "invalid value"),
        ("x" * 5000, "invalid value"),
        ("-----BEGIN PRIVATE KEY-----\n", "invalid PEM: must start with"),
        ("-----BEGIN CERTIFICATE-----\nMII", "invalid PEM: must start with"),
        ("{empty}", "no .crt or .pem files found in directory"),
        ("{file}", "invalid PEM"),
        ("{binary}", "failed to read file"),
    ],
    ids=["missing", "no-pem", "nul", "long", "key", "no-end", "empty-folder", "no-pem-file", "der"],
)
def test_what_is_no_certificate_is_told(value: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("hello")
    (tmp_path / "binary").write_bytes(b"\x30\x82\xff\xfe")
    value = value.format(**{name: tmp_path / name for name in ("empty", "file", "binary")})
    with pytest.raises(ConfigError) as error:
        certificate.read({"COG_CA_CERT": value})
    assert error.value.message.startswith("COG_CA_CERT")
    assert sentence in error.value.message


def test_the_bundle_keeps_who_was_trusted_before(pem: str, tmp_path: Path) -> None:
    other = trustme.CA().cert_pem.bytes().decode()
    named = tmp_path / "named.pem"
    named.write_text(other)
    variables = certificate.trust({"COG_CA_CERT": pem, "SSL_CERT_FILE": str(named)}, tmp_path / "cache")
    assert set(variables) >= {"SSL_CERT_FILE", "GIT_SSL_CAINFO", "NIX_SSL_CERT_FILE"}
    context = ssl.create_default_context(cafile=variables["SSL_CERT_FILE"])
    assert len(context.get_ca_certs()) == 2
    assert certificate.trust({"COG_CA_CERT": pem}, tmp_path / "cache") != variables
    public = certificate.trust({"COG_CA_CERT": pem}, tmp_path / "cache")["SSL_CERT_FILE"]
    assert len(ssl.create_default_context(cafile=public).get_ca_certs()) > 20


class _Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[str]:
    """Serve over TLS, with a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hello) as served:
        served.socket = context.wrap_socket(served.socket, server_side=True)
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{served.server_port}/x"
        served.shutdown()
        thread.join()


def test_downloads_trust_it(server: str, pem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in certificate.BUNDLES:
        monkeypatch.delenv(name, raising=False)
    fetcher = CachingFetcher(tmp_path, SilentReporter(), policy=RetryPolicy(attempts=1))
    with pytest.raises(FetchError, match="is not trusted"):
        fetcher.text(server)
    for name, value in certificate.trust({"COG_CA_CERT": pem}, tmp_path).items():
        monkeypatch.setenv(name, value)
    assert fetcher.text(server) == b"hello"
