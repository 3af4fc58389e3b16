"""Bundles with weights: what `cog weights import` left in the repository becomes part of the index."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from cog_nix.cli.pushing import document, tree
from cog_nix.config.model import Config, Weight, WeightSource
from cog_nix.errors import ConfigError, RegistryError
from cog_nix.registry import layout
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.destination import Destination
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter
from cog_nix.weights.lock import of_config
from cog_nix.weights.model import LockedWeight
from tests.registry.pushing import push

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.registry.push import Pushed

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SET = f"sha256:{'5' * 64}"
"""The digest over a weight's files."""


def _ask(method: str, url: str, body: bytes = b"", kind: str = "application/octet-stream") -> dict[str, str]:
    request = urllib.request.Request(url, body or None, {"Content-Type": kind}, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
        return dict(answer.headers.items())


def _import(registry: str, repository: str, name: str) -> bytes:
    """Bring a weight to a repository, as the distribution-spec says; return its manifest."""
    config = json.dumps({"name": name, "target": "/src/w", "setDigest": SET, "files": []}).encode()
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    base = f"http://{registry}/v2/{repository}"
    where = _ask("POST", f"{base}/blobs/uploads/")["Location"]
    joiner = "&" if urlsplit(where).query else "?"
    _ask("PUT", f"{where}{joiner}digest={digest}", config)
    blob = {"digest": digest, "size": len(config)}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/vnd.cog.weight.v1",
        "config": {"mediaType": "application/vnd.cog.weight.config.v1+json", **blob},
        "layers": [],
    }
    data = json.dumps(manifest).encode()
    _ask("PUT", f"{base}/manifests/cog-weight.{name}", data, MANIFEST)
    return data


def _locked(name: str, manifest: bytes) -> LockedWeight:
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    return LockedWeight(name, "/src/w", SET, (), digest, size=1234)


@pytest.fixture
def send(make_layout: Callable[..., Path], tmp_path: Path) -> Callable[..., Pushed]:
    """Return a function that pushes an image and weights to a repository of a registry."""
    image = layout.read(make_layout(b"a layer"))

    def call(host: str, repository: str, *weights: LockedWeight, bundle: bool = True) -> Pushed:
        reference = Reference.parse(f"{host}/{repository}:v1")
        return push(
            image,
            Destination(str(reference), reference, bundle=bundle),
            Credentials(),
            cache=tmp_path / "cache",
            reporter=SilentReporter(),
            weights=weights,
        )

    return call


def test_an_index_names_image_and_weights(registry: str, send: Callable[..., Pushed]) -> None:
    first, second = (_import(registry, "me/weighty", name) for name in ("unet", "vae"))
    pushed = send(registry, "me/weighty", _locked("vae", second), _locked("unet", first))
    url = f"http://{registry}/v2/me/weighty/manifests/v1"
    with urllib.request.urlopen(
        urllib.request.Request(url, headers={"Accept": layout.OCI_INDEX}),
        timeout=10,
    ) as answer:
        raw = answer.read()
    assert pushed.model == f"{registry}/me/weighty@sha256:{hashlib.sha256(raw).hexdigest()}"
    image, *weights = json.loads(raw)["manifests"]
    assert image["platform"] == {"architecture": "amd64", "os": "linux"}
    assert weights[0] == {
        "mediaType": MANIFEST,
        "size": len(second),
        "digest": _locked("vae", second).digest,
        "annotations": {
            "run.cog.weight.name": "vae",
            "run.cog.weight.set-digest": SET,
            "run.cog.weight.size.uncompressed": "1234",
        },
        "platform": {"architecture": "unknown", "os": "unknown"},
        "artifactType": "application/vnd.cog.weight.v1",
    }
    references = [f"{registry}/me/weighty@{one['digest']}" for one in weights]
    assert document(pushed) == {
        "version": 1,
        "model": pushed.model,
        "image": pushed.image,
        "weights": [
            {"name": "vae", "reference": references[0]},
            {"name": "unet", "reference": references[1]},
        ],
    }
    assert tree(pushed).splitlines() == [
        f"  model   {pushed.model}",
        f"  ├─ image   {pushed.image}",
        f"  ├─ weight  vae   {references[0]}",
        f"  └─ weight  unet  {references[1]}",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"digest": ""}, 'weight "unet": missing manifest digest in lockfile', id="no-digest"),
        pytest.param({}, 'weight "unet" from weights.lock was not found in target repository', id="missing"),
    ],
)
def test_a_weight_that_is_not_there(
    change: dict[str, Any], words: str, faulty: Any, send: Callable[..., Pushed]
) -> None:
    with pytest.raises(RegistryError, match=words) as caught:
        send(faulty.host, "me/model", replace(_locked("unet", b"nowhere"), **change))
    assert "cog-nix weights import" in caught.value.hint
    assert not faulty.count("POST"), "nothing was uploaded"
    assert not faulty.manifests


def test_an_image_by_itself_has_no_weights(faulty: Any, send: Callable[..., Pushed]) -> None:
    pushed = send(faulty.host, "me/model", _locked("unet", b"nowhere"), bundle=False)
    assert document(pushed) == {"version": 1, "image": pushed.image}
    assert tree(pushed) == f"  image  {pushed.image}"


def test_weights_come_in_the_order_of_the_configuration(tmp_path: Path) -> None:
    def entry(name: str) -> dict[str, Any]:
        sources = [{"uri": f"file://./{name}"}]
        return {"name": name, "target": f"/src/{name}", "setDigest": SET, "digest": SET, "size": 7} | {
            "sources": sources
        }

    (tmp_path / "weights.lock").write_text(json.dumps({"version": 1, "weights": [entry("a"), entry("b")]}))
    weights = tuple(Weight(name, f"/src/{name}", (WeightSource(name, None, None),)) for name in ("b", "a"))
    found = of_config(tmp_path, Config(weights=weights))
    assert [(one.name, one.digest, one.size) for one in found] == [("b", SET, 7), ("a", SET, 7)]
    assert of_config(tmp_path, Config()) == ()
    with pytest.raises(ConfigError, match=r'"b": removed from cog\.yaml'):
        of_config(tmp_path, Config(weights=weights[1:]))
