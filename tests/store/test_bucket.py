"""Buckets, for a Nix that knows of none."""

from __future__ import annotations

import datetime as dt
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cog_nix.errors import ConfigError
from cog_nix.store import bucket
from cog_nix.store.bucket import Bucket, Credentials
from cog_nix.store.caches import Caches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def test_a_request_is_signed_as_botocore_signs_it() -> None:
    credentials = Credentials("AKIDEXAMPLE", "a-secret", "a-token")
    asked = Bucket("http://127.0.0.1:5933/bucket", "eu-west-1", credentials)
    url = asked.url("nar/a+b.nar.zst")
    assert url == "http://127.0.0.1:5933/bucket/nar/a%2Bb.nar.zst"
    # S3SigV4Auth of botocore 1.44.8 gave this for the same request.
    signature = "6200feb309744be99e3f85617a85ddb3b74ed6b9365c0da9ea49ca6c0311247c"
    assert asked.headers("PUT", url, _NOW)["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-west-1/s3/aws4_request, "
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, "
        f"Signature={signature}"
    )


@pytest.mark.parametrize(
    ("url", "base", "region"),
    [
        ("s3://b", "https://s3.us-east-1.amazonaws.com/b", "us-east-1"),
        ("s3://b?region=eu-west-1", "https://s3.eu-west-1.amazonaws.com/b", "eu-west-1"),
        ("s3://b/folder/?endpoint=s3.example.org", "https://s3.example.org/b/folder", "us-east-1"),
        ("s3://b?endpoint=127.0.0.1:1&scheme=http", "http://127.0.0.1:1/b", "us-east-1"),
        ("s3://b?endpoint=http://127.0.0.1:1", "http://127.0.0.1:1/b", "us-east-1"),
    ],
)
def test_urls_are_nixs(url: str, base: str, region: str) -> None:
    found = Bucket.parse(url, {"HOME": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"})
    assert (found.base, found.region, found.credentials) == (base, region, None)
    assert found.headers("GET", found.url("x"), _NOW) == {}, "a public bucket"


def test_a_url_without_a_bucket_is_refused() -> None:
    with pytest.raises(ConfigError, match="names no bucket"):
        Bucket.parse("s3:///x", {})


def test_credentials_are_the_environments_or_a_profiles(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        "[default]\naws_access_key_id = a\naws_secret_access_key = b%c\n"
        "[ci]\naws_access_key_id = d\naws_secret_access_key = e\naws_session_token = f\n"
    )
    there = {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
    assert Credentials.find(there) == Credentials("a", "b%c")
    assert Credentials.find(there, "ci") == Credentials("d", "e", "f")
    own = {**there, "AWS_ACCESS_KEY_ID": "g", "AWS_SECRET_ACCESS_KEY": "h"}
    assert Credentials.find(own) == Credentials("g", "h")
    assert Credentials.find(own, "ci") == Credentials("d", "e", "f"), "a profile that is named counts"
    with pytest.raises(ConfigError) as error:
        Credentials.find(there, "none")
    assert "none" in error.value.message
    assert "aws configure export-credentials" in error.value.hint
    assert "b%c" not in repr(Credentials("a", "b%c"))


class _Objects(BaseHTTPRequestHandler):
    """A bucket's server that takes what is signed."""

    protocol_version = "HTTP/1.1"
    held: dict[str, bytes]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "AWS4-HMAC-SHA256" not in self.headers.get("Authorization", ""):
            self.send_error(403)
            return
        if self.command == "PUT":
            self.held[self.path] = body
        found = self.held.get(self.path)
        # As S3 answers who may not list the bucket.
        self.send_response(403 if found is None else 200)
        self.send_header("Content-Length", "0" if self.command == "PUT" else str(len(found or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(found or b"")

    do_GET = do_HEAD = do_PUT = _do  # noqa: N815 - http.server's names


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the URL of a bucket, and what is in it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    held: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Objects,), {"held": held}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"s3://b?endpoint=127.0.0.1:{server.server_address[1]}&scheme=http", held
    server.shutdown()
    server.server_close()
    thread.join()


def test_nix_sees_files_of_this_machine(objects: tuple[str, dict[str, bytes]]) -> None:
    url, held = objects
    body = os.urandom(1 << 20)
    with bucket.reachable(url) as here, httpx.Client(trust_env=False) as client:
        assert client.get(f"{here}/nix-cache-info").status_code == 404, "what is not there is missing"
        assert client.put(f"{here}/nar/a+b.nar.zst", content=body).status_code == 200
        assert client.get(f"{here}/nar/a+b.nar.zst").content == body
        assert client.head(f"{here}/nar/a+b.nar.zst").headers["content-length"] == str(len(body))
    assert held == {"/b/nar/a%2Bb.nar.zst": body}
    with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as client:
        client.get(here)


def test_a_bucket_that_cannot_be_reached_is_a_gateways_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    with (
        bucket.reachable("s3://b?endpoint=127.0.0.1:1&scheme=http") as here,
        httpx.Client(trust_env=False) as client,
    ):
        assert client.get(f"{here}/x").status_code == 502


def test_other_users_are_not_answered(
    objects: tuple[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "owner_of", lambda *_: os.geteuid() + 4711)
    with bucket.reachable(objects[0]) as here, httpx.Client(trust_env=False) as client:
        assert client.get(f"{here}/x").status_code == 403


def test_whose_a_connection_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            assert bucket.owner_of(client.getsockname()[1], port) == os.geteuid()
            assert bucket.owner_of(client.getsockname()[1], port + 1) is None


def test_other_urls_stay_as_they_are() -> None:
    found: Any = Caches(("https://a.example.org", "file:///b"), ("k:v",))
    with bucket.opened(found) as caches:
        assert caches == found
