from __future__ import annotations

import json
import random
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from cog_nix.errors import RegistryError
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.registry import layout
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.destination import Destination
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter
from tests.registry.pushing import push

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.registry.push import Pushed

LARGE = random.Random(1).randbytes(3 << 20)  # noqa: S311 - any bytes that do not compress
ALI = Credentials("ali", "tr0ub4dor")


@pytest.fixture
def send(faulty: Any, make_layout: Callable[..., Path], tmp_path: Path) -> Callable[..., Pushed]:
    """Return a function that pushes an image of one large layer and a small one."""
    image = layout.read(make_layout(LARGE, b"small"))

    def call(name: str = "me/model", known: Credentials = ALI, *, bundle: bool = False) -> Pushed:
        reference = Reference.parse(f"{faulty.host}/{name}:v1")
        return push(
            image,
            Destination(str(reference), reference, bundle=bundle),
            known,
            cache=tmp_path / "cache",
            reporter=SilentReporter(),
            policy=RetryPolicy(attempts=3, delay=0.01),
        )

    return call


def test_each_blob_once_and_the_manifest_last(faulty: Any, send: Callable[..., Pushed]) -> None:
    pushed = send()
    assert pushed.total("uploaded")[0] == 3
    assert faulty.log[-1] == "PUT /v2/me/model/manifests/v1"
    assert faulty.count("PUT") == 4
    assert faulty.count("PATCH") == 0
    assert (
        pushed.image
        == f"{faulty.host}/me/model@{layout.Manifest('', faulty.manifests['me/model:v1']).digest}"
    )


def test_what_is_there_is_left_alone(faulty: Any, send: Callable[..., Pushed]) -> None:
    send()
    faulty.log.clear()
    assert send().total("there")[0] == 3
    assert (faulty.count("POST"), faulty.count("PUT"), faulty.count("HEAD")) == (0, 1, 1)


def test_other_repositories_blobs_are_mounted(faulty: Any, send: Callable[..., Pushed]) -> None:
    send()
    faulty.log.clear()
    assert send("me/other").total("mounted")[0] == 3
    assert faulty.count("PUT") == 1


def test_a_mount_that_fails_is_an_upload(faulty: Any, send: Callable[..., Pushed]) -> None:
    send()
    faulty.blobs.clear()
    assert send("me/other").total("uploaded")[0] == 3


def test_a_mount_that_is_refused_is_an_upload(faulty: Any, send: Callable[..., Pushed]) -> None:
    send()
    faulty.answers["POST"] = deque([(405, {})] * 3)
    assert send("me/other").total("uploaded")[0] == 3


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_failures_are_tried_again(
    faulty: Any, send: Callable[..., Pushed], method: str, status: int
) -> None:
    faulty.answers[method] = deque([(status, {"Retry-After": "0"}), (status, {})])
    assert send().total("uploaded")[0] == 3


def test_a_registry_that_keeps_failing(faulty: Any, send: Callable[..., Pushed]) -> None:
    faulty.answers["POST"] = deque([(503, {})] * 50)
    with pytest.raises(RegistryError, match=r"after 3 attempts\): the registry answered 503") as caught:
        send()
    assert "run this again" in caught.value.hint
    assert "me/model:v1" not in faulty.manifests


def test_a_cut_upload_is_carried_on_with(faulty: Any, send: Callable[..., Pushed]) -> None:
    faulty.cut_after.extend([1 << 20])
    send()
    ranges = [one["Content-Range"] for one in faulty.headers if "Content-Range" in one]
    assert len(ranges) == 1
    assert ranges[0].startswith(f"{1 << 20}-"), "only what was missing went again"


def test_a_cut_upload_that_the_registry_forgot_begins_again(faulty: Any, send: Callable[..., Pushed]) -> None:
    faulty.forgets = True
    faulty.cut_after.extend([1 << 20, 1 << 10])
    assert send().total("uploaded")[0] == 3
    assert not any("Content-Range" in one for one in faulty.headers)


def test_an_upload_that_is_unknown_begins_again(faulty: Any, send: Callable[..., Pushed]) -> None:
    faulty.lost = 1
    assert send().total("uploaded")[0] == 3


@pytest.mark.parametrize(
    ("headers", "chunk"),
    [
        ({"OCI-Chunk-Min-Length": str(1 << 20)}, 96 << 20),
        ({"OCI-Chunk-Max-Length": str(1 << 20)}, (1 << 20) - (64 << 10)),
    ],
    ids=["at least", "at most"],
)
def test_chunks_where_the_registry_wants_them(
    faulty: Any, send: Callable[..., Pushed], headers: dict[str, str], chunk: int
) -> None:
    faulty.chunk_headers = headers
    send()
    lengths = [int(one["Content-Length"]) for one in faulty.headers if "Content-Range" in one]
    assert max(lengths) == min(chunk, max(len(data) for data in faulty.blobs.values()))
    assert faulty.count("PATCH") >= 3


def test_upstreams_variables_for_chunks(
    faulty: Any, send: Callable[..., Pushed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COG_PUSH_DEFAULT_CHUNK_SIZE", str(1 << 20))
    monkeypatch.setenv("COG_PUSH_MULTIPART_THRESHOLD", str(2 << 20))
    send()
    assert faulty.count("PATCH") == 4, "3 MB in four chunks; the small blobs whole"


def test_no_chunks_where_the_registry_refuses_them(
    faulty: Any, send: Callable[..., Pushed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COG_PUSH_MULTIPART_THRESHOLD", str(2 << 20))
    faulty.chunks = False
    assert send().total("uploaded")[0] == 3


def test_smaller_chunks_where_a_proxy_refuses_large_ones(faulty: Any, send: Callable[..., Pushed]) -> None:
    faulty.largest = 1 << 20
    assert send().total("uploaded")[0] == 3


def test_a_token_for_this_repository(faulty: Any, send: Callable[..., Pushed]) -> None:
    faulty.tokens.append("one")
    send()
    assert faulty.asked == [{"service": ["faulty"], "scope": ["repository:me/model:pull,push"]}]
    assert faulty.shown == ["Basic YWxpOnRyMHViNGRvcg=="]


def test_a_token_that_ends_is_renewed(
    faulty: Any, send: Callable[..., Pushed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COG_PUSH_CONCURRENCY", "1")
    faulty.tokens.extend(["one", "two"])
    faulty.answers["POST"] = deque(
        [(401, {"WWW-Authenticate": f'Bearer realm="http://{faulty.host}/token"'})]
    )
    assert send().total("uploaded")[0] == 3
    assert faulty.current == "two"


def test_a_refresh_token(faulty: Any, send: Callable[..., Pushed]) -> None:
    faulty.tokens.append("one")
    send(known=Credentials(identity_token="refresh"))  # noqa: S106 - of nothing
    (asked,) = faulty.asked
    assert asked["grant_type"] == ["refresh_token"]
    assert asked["refresh_token"] == ["refresh"]
    assert faulty.shown == [""]


def test_a_registry_token_is_sent_as_it_is(faulty: Any, send: Callable[..., Pushed]) -> None:
    faulty.current = "given"
    send(known=Credentials(registry_token="given"))  # noqa: S106 - of nothing
    assert not faulty.asked


@pytest.mark.parametrize(
    ("known", "words", "hint"),
    [
        (Credentials(), "wants to know who you are", "Log in with: cog-nix login 127.0.0.1"),
        (ALI, "does not let you push here as ali", "log in again with: cog-nix login 127.0.0.1"),
    ],
    ids=["nobody", "somebody"],
)
def test_refused(faulty: Any, send: Callable[..., Pushed], known: Credentials, words: str, hint: str) -> None:
    faulty.current = "never handed out"
    with pytest.raises(RegistryError) as caught:
        send(known=known)
    assert words in caught.value.message
    assert hint in caught.value.hint
    assert "tr0ub4dor" not in str(caught.value)


def test_uploads_elsewhere_never_see_credentials(
    faulty: Any, send: Callable[..., Pushed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry may send uploads to another host; localhost is one, 127.0.0.1 is the registry."""
    faulty.tokens.append("one")
    from cog_nix.registry import upload  # noqa: PLC0415 - only here

    real = upload.absolute  # type: ignore[attr-defined]
    monkeypatch.setattr(upload, "absolute", lambda answer: real(answer).replace("127.0.0.1", "localhost"))
    monkeypatch.setattr(type(faulty), "host", property(lambda self: f"127.0.0.1:{self.port}"))
    with pytest.raises(RegistryError):
        send()
    elsewhere = [one for one in faulty.headers if one["Host"].startswith("localhost")]
    assert elsewhere
    assert not any("Authorization" in one for one in elsewhere)


def test_tls_on_this_machine(
    faulty: Any, send: Callable[..., Pushed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    faulty.server.socket = context.wrap_socket(faulty.server.socket, server_side=True)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(RegistryError, match=r"the certificate of 127\.0\.0\.1:.* is not trusted") as caught:
        send()
    assert "COG_CA_CERT" in caught.value.hint
    assert not faulty.headers, "nothing was told to somebody unknown"
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert send().total("uploaded")[0] == 3


def test_a_bundle_is_an_index_around_the_image(faulty: Any, send: Callable[..., Pushed]) -> None:
    pushed = send(bundle=True)
    index = json.loads(faulty.manifests["me/model:v1"])
    image = faulty.manifests["me/model:cog-image.v1"]
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    (one,) = index["manifests"]
    assert one["platform"] == {"architecture": "amd64", "os": "linux"}
    assert pushed.image.endswith(one["digest"])
    assert one["size"] == len(image)
    assert pushed.model.partition("@")[2] == layout.Manifest("", faulty.manifests["me/model:v1"]).digest


def test_a_refusal_says_what_the_registry_said(faulty: Any, send: Callable[..., Pushed]) -> None:
    faulty.answers["PUT"] = deque([(405, {})] * 9)
    with pytest.raises(RegistryError, match=r"refused PUT blobs/uploads/.* of me/model: 405"):
        send()


def test_a_registry_that_is_not_there(make_layout: Callable[..., Path], tmp_path: Path) -> None:
    reference = Reference.parse("127.0.0.1:9/me/model:v1")
    with pytest.raises(RegistryError, match=r"cannot push to 127\.0\.0\.1:9 \(after 2 attempts\)"):
        push(
            layout.read(make_layout(b"a")),
            Destination("x", reference),
            Credentials(),
            cache=tmp_path,
            reporter=SilentReporter(),
            policy=RetryPolicy(attempts=2, delay=0.01),
        )
