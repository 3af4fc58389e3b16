"""What a repository's layers came to, kept beside them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.fetch.retry import RetryPolicy
from cog_nix.image.known import Keys, Known, KnownLayer
from cog_nix.registry.client import OK, Repository
from cog_nix.registry.held import TAG, HeldLayers, Record, frozen_text, layer_text
from cog_nix.registry.reference import Reference
from cog_nix.registry.upload import Blob, Upload
from cog_nix.report import SilentReporter
from cog_nix.system.digests import digest_of
from cog_nix.system.keys import PublicKeys, SecretKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ONCE = RetryPolicy(attempts=1)


def _layer(content: bytes) -> KnownLayer:
    return KnownLayer(f"sha256:{'1' * 64}", 10, digest_of(content), len(content))


_BASE, _PYTHON = _layer(b"base"), _layer(b"python")
_KNOWN = Known({"aaa-base": _BASE, "bbb-python": _PYTHON}, {"key": "a==1\n"})
_KEYS = Keys(("aaa-base", "bbb-python", "ccc-other"), "key")


class _Told(SilentReporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def at(registry: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., HeldLayers]:
    """Return a function that makes the record of a repository of this test's."""
    name = request.node.name.partition("[")[0].replace("_", "-")

    def make(**changes: Any) -> HeldLayers:
        reference = Reference(registry, f"held/{name}", "v1")
        held = HeldLayers(reference, _nobody(), tmp_path / "cache", _Told(), policy=_ONCE)
        return replace(held, **changes)

    return make


def _nobody() -> Any:
    from cog_nix.registry.credentials import Credentials  # noqa: PLC0415 - one place makes them

    return Credentials()


def _upload(held: HeldLayers, tmp_path: Path, *contents: bytes) -> None:
    with Repository(held.reference, held.credentials, policy=_ONCE) as repository:
        for content in contents:
            path = tmp_path / digest_of(content)
            path.write_bytes(content)
            Upload(repository, Blob(digest_of(content), len(content), path)).run(lambda _: None)


def test_what_was_pushed_is_known_to_the_next(at: Callable[..., HeldLayers], tmp_path: Path) -> None:
    held = at()
    assert held.known(_KEYS) == Known(), "nothing was pushed yet"
    _upload(held, tmp_path, b"base", b"python")
    held.add(_KNOWN)
    assert held.known(_KEYS) == _KNOWN
    assert at().known(Keys(("aaa-base",), None)) == Known({"aaa-base": _BASE})


def test_what_the_registry_has_lost_is_not_known(at: Callable[..., HeldLayers], tmp_path: Path) -> None:
    held = at()
    _upload(held, tmp_path, b"base")
    held.add(_KNOWN)
    assert held.known(_KEYS).layers == {"aaa-base": _BASE}


def test_what_is_there_is_not_written_again(at: Callable[..., HeldLayers], tmp_path: Path) -> None:
    held = at()
    _upload(held, tmp_path, b"base", b"python")
    held.add(_KNOWN)
    before = _manifest(held)
    held.add(Known({"aaa-base": _BASE}))
    assert _manifest(held) == before
    held.add(Known({"ddd-more": _PYTHON}))
    assert _manifest(held) != before
    assert held.known(_KEYS) == _KNOWN, "others' stay"


def _manifest(held: HeldLayers) -> bytes:
    with Repository(held.reference, held.credentials, policy=_ONCE) as repository:
        accepted = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
        return repository.send("GET", f"manifests/{TAG}", (OK,), accepted).content


def test_only_what_is_signed_counts_where_keys_are_trusted(
    at: Callable[..., HeldLayers], tmp_path: Path
) -> None:
    secret, public = _pair(b"1")
    stranger, _ = _pair(b"2")
    trusting = at(trusted=PublicKeys((public,)))
    _upload(trusting, tmp_path, b"base", b"python")
    at().add(Known({"aaa-base": _PYTHON}))
    at(secret=stranger).add(Known({"bbb-python": _PYTHON}, {"key": "evil"}))
    assert trusting.known(_KEYS) == Known()
    replace(trusting, secret=secret).add(_KNOWN)
    assert trusting.known(_KEYS) == _KNOWN


def _pair(seed: bytes) -> tuple[SecretKey, str]:
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - as the product does

    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed * 32)
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    return SecretKey("ci-1", seed * 32), f"ci-1:{public}"


def test_a_signature_is_for_one_layer_alone() -> None:
    secret, public = _pair(b"1")
    record = Record().with_new(_KNOWN, PublicKeys(), secret)
    data = record.document()
    data["layers"]["aaa-base"]["signatures"] = data["layers"]["bbb-python"]["signatures"]
    data["frozen"]["other"] = data["frozen"]["key"]
    counted = Record.parse(json.loads(json.dumps(data))).counting(PublicKeys((public,)))
    assert counted == Known({"bbb-python": _PYTHON}, {"key": "a==1\n"})


def test_all_of_a_layer_is_signed() -> None:
    texts = {layer_text("key", _BASE), layer_text("other", _BASE), frozen_text("key", "a")}
    for change in ({"diff_id": "sha256:2"}, {"size": 1}, {"digest": "sha256:2"}, {"compressed": 1}):
        texts.add(layer_text("key", replace(_BASE, **change)))  # type: ignore[arg-type]
    assert len(texts) == 7


def test_the_latest_comes_first_and_the_oldest_falls_off() -> None:
    record = Record()
    for number in range(1010):
        record = record.with_new(Known({f"{number}-layer": _BASE}), PublicKeys(), None)
    names = list(record.known.layers)
    assert (len(names), names[0], names[-1]) == (1000, "1009-layer", "10-layer")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"version": 2}', b'{"version": 1, "layers": {"a": {}}, "frozen": {}}', b"\xff"],
)
def test_a_record_that_cannot_be_read_is_as_good_as_none(
    at: Callable[..., HeldLayers], tmp_path: Path, content: bytes
) -> None:
    held = at(reporter=_Told())
    _upload(held, tmp_path, b"base", b"python", b"{}", content)
    kind = "application/vnd.cog-nix.layers.v1+json"
    described = [{"mediaType": kind, "digest": digest_of(content), "size": len(content)}]
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2}
    media = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": media, "config": config, "layers": described}
    with Repository(held.reference, held.credentials, policy=_ONCE) as repository:
        data = json.dumps(manifest).encode()
        repository.send("PUT", f"manifests/{TAG}", (201,), {"Content-Type": media}, data)
    assert held.known(_KEYS) == Known()
    told: Any = held.reporter
    assert "is not a record of layers" in told.lines[0]
    held.add(_KNOWN)
    assert held.known(_KEYS) == _KNOWN, "it is written anew"


def test_a_registry_that_is_down_is_no_failure(tmp_path: Path) -> None:
    told = _Told()
    held = HeldLayers(Reference("127.0.0.1:1", "a", "b"), _nobody(), tmp_path, told, policy=_ONCE)
    assert held.known(_KEYS) == Known()
    held.add(_KNOWN)
    assert len(told.lines) == 2
