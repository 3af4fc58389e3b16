"""Images from registries, in the runtime without a daemon."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import ImageError, RegistryError
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.plugins.spec import ContainerRequest
from cog_nix.registry import layout
from cog_nix.registry.client import Repository
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.destination import Destination
from cog_nix.registry.layout import OCI_INDEX, Manifest
from cog_nix.registry.pull import pull
from cog_nix.registry.push import put_manifest
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter
from cog_nix.system.platforms import AMD64, ARM64
from cog_nix_hooks.bundle.runtime import BundleRuntime
from tests.hooks.docker.conftest import Store, layer_tar, programs
from tests.registry.conftest import PASSWORD, USER, digest_of, write_layout
from tests.registry.pushing import push

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.registry.pull import Pulled
    from tests.registry.conftest import Faulty

QUICK = RetryPolicy(attempts=3, delay=0.01)
LARGE = random.Random(5).randbytes(3 << 20)  # noqa: S311 - any bytes that do not compress


def send(root: Path, target: str, cache: Path, known: Credentials | None = None) -> layout.Layout:
    image = layout.read(root)
    push(
        image,
        Destination(target, Reference.parse(target)),
        known or Credentials(),
        cache=cache,
        reporter=SilentReporter(),
    )
    return image


def fetch(target: str, folder: Path, *held: str) -> Pulled:
    return pull(
        Reference.parse(target),
        Credentials(),
        folder=folder,
        held=held.__contains__,
        reporter=SilentReporter(),
        policy=QUICK,
    )


@pytest.fixture
def bundle(tmp_path: Path) -> BundleRuntime:
    """A daemonless runtime that holds nothing."""
    return BundleRuntime(tmp_path / "bundle")


@pytest.fixture(scope="session")
def shell_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Docker archive of an image that says what is in one of its files."""
    root = tmp_path_factory.mktemp("shell")
    image = Store(root).build(
        programs("sh", "cat"), {"said": b"first"}, {"said": b"last"}, Env=["PATH=/bin"], Cmd=["cat", "/said"]
    )
    with (root / "archive").open("wb") as sink:
        subprocess.run([image.program], stdout=sink, check=True)
    return root / "archive"


def skopeo(*arguments: str) -> None:
    assert shutil.which("skopeo"), "Debian's package skopeo is missing: scripts/setup test installs it"
    subprocess.run(["skopeo", *arguments], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_skopeo_copied_runs(
    registry: str, bundle: BundleRuntime, shell_archive: Path, compression: str
) -> None:
    target = f"{registry}/me/{compression}:v1"
    options = ["--dest-tls-verify=false", "--format=oci", f"--dest-compress-format={compression}"]
    skopeo("copy", "-q", *options, f"docker-archive:{shell_archive}", f"docker://{target}")
    bundle.pull(target, SilentReporter())
    with bundle.start(ContainerRequest(target)) as container:
        assert (container.wait(20), container.logs()) == (0, "last\n")


def test_another_image_costs_what_it_has_alone(faulty: Faulty, bundle: BundleRuntime, tmp_path: Path) -> None:
    common, host = layer_tar({"common": LARGE}), faulty.host
    for name in ("one", "two"):
        send(
            write_layout(tmp_path / name, [common, layer_tar({"own": name.encode()})]),
            f"{host}/me/{name}",
            tmp_path,
        )
    for name, blobs in (("one", 3), ("two", 2), ("two", 1)):
        faulty.log.clear()
        bundle.pull(f"{host}/me/{name}", SilentReporter())
        assert sum("/blobs/" in line for line in faulty.log) == blobs
    for name in ("one", "two"):
        image = bundle.find(f"{host}/me/{name}:latest")
        assert (bundle._store.layers.folder(image.diff_ids[1]) / "own").read_text() == name
    assert not (tmp_path / "bundle/pulled").exists()


def test_a_name_moves_on(registry: str, bundle: BundleRuntime, tmp_path: Path) -> None:
    target = f"{registry}/me/moving:v1"
    for content in (b"old", b"new"):
        send(write_layout(tmp_path / content.decode(), [layer_tar({"a": content})]), target, tmp_path)
        bundle.pull(target, SilentReporter())
        (layer,) = bundle.find(target).diff_ids
        assert (bundle._store.layers.folder(layer) / "a").read_bytes() == content
    assert len(list((tmp_path / "bundle/layers").iterdir())) == 1


def test_a_digest_names_an_image(registry: str, bundle: BundleRuntime, tmp_path: Path) -> None:
    sent = send(
        write_layout(tmp_path / "image", [layer_tar({"a": b"a"})]), f"{registry}/me/digest:v1", tmp_path
    )
    reference = f"{registry}/me/digest@{sent.manifest.digest}"
    bundle.pull(reference, SilentReporter())
    assert bundle.image_id(reference) == sent.blobs[-1].digest


def _index(registry: str, tmp_path: Path, *platforms: dict[str, str]) -> tuple[str, layout.Layout]:
    """Push an index that names the same image for each of these platforms."""
    target = f"{registry}/me/index:{len(platforms)}-{platforms[-1]['architecture']}"
    sent = send(
        write_layout(tmp_path / target.rpartition(":")[2], [layer_tar({"a": b"a"})]), target, tmp_path
    )
    named = {"mediaType": sent.manifest.media_type, "size": len(sent.manifest.data)}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [{**named, "digest": sent.manifest.digest, "platform": one} for one in platforms],
    }
    with Repository(Reference.parse(target), Credentials()) as repository:
        put_manifest(
            repository, Manifest(OCI_INDEX, json.dumps(document).encode()), target.rpartition(":")[2]
        )
    return target, sent


def test_an_index_has_the_image(registry: str, tmp_path: Path) -> None:
    arm, amd = ({"os": "linux", "architecture": one} for one in ("arm64", "amd64"))
    target, sent = _index(registry, tmp_path, arm, amd)
    assert fetch(target, tmp_path / "pulled").id == sent.blobs[-1].digest
    target, _ = _index(registry, tmp_path, arm, arm)
    with pytest.raises(RegistryError, match="it has nothing for linux/amd64"):
        fetch(target, tmp_path / "pulled")


def test_a_platform_is_asked_for(registry: str, bundle: BundleRuntime, tmp_path: Path) -> None:
    target = f"{registry}/me/platform"
    layers = [layer_tar({"a": b"a"})]
    digests = {}
    for one in (AMD64, ARM64):
        root = write_layout(tmp_path / one.architecture, layers, architecture=one.architecture)
        digests[one] = send(root, f"{target}:{one.architecture}", tmp_path).manifest
    manifests = [
        {
            "mediaType": one.media_type,
            "size": len(one.data),
            "digest": one.digest,
            "platform": {"os": platform.os, "architecture": platform.architecture},
        }
        for platform, one in digests.items()
    ]
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
    with Repository(Reference.parse(target), Credentials()) as repository:
        put_manifest(repository, Manifest(OCI_INDEX, index.encode()), "both")
    for one in (ARM64, AMD64):
        bundle.pull(f"{target}:both", SilentReporter(), one)
        assert bundle.image_attributes(f"{target}:both")["Architecture"] == one.architecture
    with pytest.raises(ImageError, match="it is for linux/arm64, not for linux/amd64"):
        bundle.pull(f"{target}:arm64", SilentReporter(), AMD64)


def test_what_broke_off_is_carried_on(faulty: Faulty, tmp_path: Path) -> None:
    layers = [layer_tar({"a": LARGE})]
    sent = send(write_layout(tmp_path / "image", layers), f"{faulty.host}/me/cut", tmp_path)
    config = sent.blobs[-1].size
    faulty.cut_answers.extend([config, 1 << 20, 1 << 20])
    faulty.log.clear()
    found = fetch(f"{faulty.host}/me/cut", tmp_path / "pulled")
    (path,) = found.layers.values()
    assert gzip.decompress(path.read_bytes()) == layers[0]
    asked = [headers.get("Range") for headers in faulty.headers[-3:]]
    assert asked == [None, f"bytes={1 << 20}-", f"bytes={2 << 20}-"]


def test_what_came_before_a_failure_is_kept(faulty: Faulty, tmp_path: Path) -> None:
    root = write_layout(tmp_path / "image", [layer_tar({"a": LARGE})])
    config = send(root, f"{faulty.host}/me/kept", tmp_path).blobs[-1].size
    faulty.cut_answers.extend([config, 1 << 20, 0, 0, 0])
    with pytest.raises(RegistryError, match=r"me/kept:latest cannot be pulled: cannot fetch"):
        fetch(f"{faulty.host}/me/kept", tmp_path / "pulled")
    fetch(f"{faulty.host}/me/kept", tmp_path / "pulled")
    assert faulty.headers[-1]["Range"] == f"bytes={1 << 20}-"


def test_other_bytes_are_refused(faulty: Faulty, tmp_path: Path) -> None:
    root = write_layout(tmp_path / "image", [layer_tar({"a": b"a"})])
    layer, config = send(root, f"{faulty.host}/me/other", tmp_path).blobs
    right = faulty.blobs["me/other", layer.digest]
    faulty.blobs["me/other", layer.digest] = right[:-1] + b"?"
    with pytest.raises(RegistryError, match="what came is another file"):
        fetch(f"{faulty.host}/me/other", tmp_path / "pulled")
    faulty.blobs["me/other", config.digest] = b"{}"
    with pytest.raises(RegistryError, match=f"what came as {config.digest} is {digest_of(b'{}')}"):
        fetch(f"{faulty.host}/me/other", tmp_path / "pulled")


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        pytest.param("no JSON", "its manifest is not a JSON object", id="no-json"),
        pytest.param({"schemaVersion": 1, "fsLayers": []}, "older than Docker's schema 2", id="schema-1"),
        pytest.param({"config": {}, "layers": []}, "not one of an image", id="no-config"),
    ],
)
def test_what_is_no_image(faulty: Faulty, tmp_path: Path, manifest: Any, why: str) -> None:
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    faulty.manifests["me/strange:latest"] = text.encode()
    with pytest.raises(RegistryError, match=why):
        fetch(f"{faulty.host}/me/strange", tmp_path)


def test_tokens_are_for_reading(faulty: Faulty, tmp_path: Path) -> None:
    send(write_layout(tmp_path / "image", [layer_tar({"a": b"a"})]), f"{faulty.host}/me/token", tmp_path)
    faulty.tokens.extend(["first"])
    assert fetch(f"{faulty.host}/me/token", tmp_path / "pulled").layers
    assert faulty.asked[-1]["scope"] == ["repository:me/token:pull"]


def test_who_may_not_read(
    locked_registry: str, bundle: BundleRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = f"{locked_registry}/me/secret:v1"
    known = Credentials(USER, PASSWORD)
    send(write_layout(tmp_path / "image", [layer_tar({"a": b"a"})]), target, tmp_path, known)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(ImageError, match="wants to know who you are") as caught:
        bundle.pull(target, SilentReporter())
    assert caught.value.hint == f"Log in with: cog-nix login {locked_registry}"
    config = {"auths": {locked_registry: {"username": USER, "password": PASSWORD}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    bundle.pull(target, SilentReporter())
    assert bundle.image_id(target)


def test_what_is_not_there(registry: str, bundle: BundleRuntime) -> None:
    with pytest.raises(ImageError, match=f"failed to pull image {registry}/me/none") as caught:
        bundle.pull(f"{registry}/me/none", SilentReporter())
    assert caught.value.hint == "Check the name and the tag."
    with pytest.raises(ImageError, match="invalid image reference"):
        bundle.pull("No/Name", SilentReporter())


def test_a_layer_that_went_meanwhile_is_pulled_again(
    registry: str, bundle: BundleRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = layer_tar({"common": b"c"})
    for name in ("one", "two"):
        send(
            write_layout(tmp_path / name, [common, layer_tar({"own": name.encode()})]),
            f"{registry}/gone/{name}",
            tmp_path,
        )
    bundle.pull(f"{registry}/gone/one", SilentReporter())
    add, gone = bundle._store.add, threading.Event()

    def late(*arguments: Any) -> bool:
        if not gone.is_set():
            gone.set()
            bundle._store.layers.keep_only([])
        return add(*arguments)

    monkeypatch.setattr(bundle._store, "add", late)
    bundle.pull(f"{registry}/gone/two", SilentReporter())
    assert len(bundle.find(f"{registry}/gone/two").diff_ids) == 2


@pytest.mark.parametrize("start", [b"\x1f\x8b broken", b"\x28\xb5\x2f\xfd broken"], ids=["gzip", "zstd"])
def test_a_broken_layer(tmp_path: Path, bundle: BundleRuntime, start: bytes) -> None:
    path = tmp_path / "layer"
    path.write_bytes(start)
    with pytest.raises(ImageError, match=r"cannot be (read|unpacked)"), path.open("rb") as stream:
        bundle._store.layers.unpack(stream, [], lambda _: None)
    assert not list((tmp_path / "bundle/layers").iterdir())
