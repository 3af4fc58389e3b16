"""Weights on their way into a registry and back, through Debian's and one that misbehaves."""

from __future__ import annotations

import gzip
import json
import shutil
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import RegistryError
from cog_nix.managed import importing, pulling
from cog_nix.managed.planning import plan
from cog_nix.managed.publishing import missing_layers, publish
from cog_nix.managed.status import statuses
from cog_nix.system.digests import digest_of
from cog_nix.weights import lock as weights_lock
from cog_nix.weights import packing
from cog_nix.weights.manifest import OCI_MANIFEST, manifest, tag
from cog_nix.weights.model import TAR, WeightsLock
from cog_nix.weights.store import WeightsStore
from tests.managed.conftest import config_of, weight

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from cog_nix.managed.source import Surroundings
    from cog_nix.registry.client import Repository
    from cog_nix.weights.model import LockedWeight

    Connect = Callable[[str], Repository]


@pytest.fixture
def imported(around: Surroundings, project: Path, monkeypatch: pytest.MonkeyPatch) -> LockedWeight:
    """Return a weight whose files are in the store: two of them large, as far as packing goes."""
    monkeypatch.setattr(packing, "LARGE", 100_000)
    for path, content in {
        "config.json": b'{"a": 1}' * 50,
        "deep/large.safetensors": bytes(range(250)) * 800,
        "deep/large.ckpt": b"compressible" * 20_000,
        "tokenizer.json": b"{}",
    }.items():
        (project / "w" / path).parent.mkdir(parents=True, exist_ok=True)
        (project / "w" / path).write_bytes(content)
    found = plan(weight("w"), WeightsLock(), project, around)
    return importing.record(found, None, importing.bring(found, around), around)


def emptied(around: Surroundings) -> Surroundings:
    """Return the same with another store, in which nothing is."""
    return replace(
        around, store=WeightsStore(around.store.root.with_name("other")), cancelled=type(around.cancelled)()
    )


def same_files(weight: LockedWeight, around: Surroundings) -> bool:
    return all(digest_of(around.store.path(file.digest).read_bytes()) == file.digest for file in weight.files)


def test_into_the_registry_and_back(
    registry: str, connect: Connect, around: Surroundings, imported: LockedWeight
) -> None:
    assert sorted(len(imported.files_in(layer.digest)) for layer in imported.layers) == [1, 1, 2]
    with connect(f"{registry}/me/roundtrip") as repository:
        assert publish(repository, imported, around) == (imported, imported.blob_size)
        assert publish(repository, imported, around) == (imported, 0)
        assert missing_layers(repository, imported, around) == []
        url = f"http://{registry}/v2/me/roundtrip/manifests/{tag(imported)}"
        asked = urllib.request.Request(url, headers={"Accept": OCI_MANIFEST})
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - loopback
            assert answer.read() == manifest(imported)
        fresh = emptied(around)
        done = pulling.pull(repository, imported, fresh)
        assert (done.files, done.size, done.layers) == (4, imported.size, 3)
        assert same_files(imported, fresh)
        assert pulling.pull(repository, imported, fresh).files == 0
        small = next(file for file in imported.files if file.path == "tokenizer.json")
        fresh.store.path(small.digest).unlink()
        assert pulling.pull(repository, imported, fresh).files == 1


def test_a_pull_goes_on_at_the_byte(
    faulty: Any, connect: Connect, around: Surroundings, imported: LockedWeight
) -> None:
    with connect(f"{faulty.host}/me/model") as repository:
        publish(repository, imported, around)
        fresh = emptied(around)
        faulty.headers.clear()
        faulty.cut_answers.extend([5_000, 5_000, 5_000, 120_000])
        pulling.pull(repository, imported, fresh)
    assert same_files(imported, fresh)
    assert any("Range" in headers for headers in faulty.headers)


def test_an_upload_goes_on_after_a_cut(
    faulty: Any, connect: Connect, around: Surroundings, imported: LockedWeight
) -> None:
    faulty.cut_after.extend([50_000, 70_000])
    with connect(f"{faulty.host}/me/model") as repository:
        publish(repository, imported, around)
    blobs = {digest for _, digest in faulty.blobs}
    assert {layer.digest for layer in imported.layers} <= blobs
    assert all(digest_of(content) == digest for (_, digest), content in faulty.blobs.items())


def test_a_layer_that_somebody_else_packed_stays(
    registry: str, connect: Connect, around: Surroundings, imported: LockedWeight
) -> None:
    """Digests of compressed layers differ with who packed them; the registry's are kept where it has them."""
    theirs = _packed_otherwise(imported)
    found = importing.layers_of(theirs)
    assert {layer.digest for layer in found.values()} == {layer.digest for layer in theirs.layers}
    with connect(f"{registry}/me/packed") as repository:
        ours, _ = publish(repository, theirs, around)
        assert ours == replace(imported, imported=theirs.imported), "it has them not: they are packed anew"
        assert missing_layers(repository, ours, around) == []


def test_a_layer_that_unpacks_to_far_more_is_left_off(
    faulty: Any, connect: Connect, around: Surroundings, imported: LockedWeight
) -> None:
    """A few kilobytes of gzip can stand for gigabytes."""
    small = gzip.compress(bytes(60_000_000))
    layer = next(one for one in imported.layers if one.media_type != TAR)
    swapped = replace(layer, digest=digest_of(small), size=len(small))
    files = [replace(file, layer=swapped.digest) for file in imported.files_in(layer.digest)]
    weight = replace(imported, files=tuple(files), layers=(swapped,))
    with connect(f"{faulty.host}/me/model") as repository:
        publish(repository, imported, around)
        faulty.blobs["me/model", swapped.digest] = small
        named = replace(weight, digest=imported.digest)
        with pytest.raises(RegistryError, match=r"unpacks to more than the files that weights\.lock names"):
            pulling.pull(repository, named, emptied(around))


def _packed_otherwise(weight: LockedWeight) -> LockedWeight:
    names = {
        layer.digest: layer.digest if layer.media_type == TAR else digest_of(layer.digest.encode())
        for layer in weight.layers
    }
    layers = [replace(layer, digest=names[layer.digest]) for layer in weight.layers]
    return replace(
        weight,
        files=tuple(replace(file, layer=names[file.layer]) for file in weight.files),
        layers=tuple(sorted(layers, key=lambda layer: layer.digest)),
    )


def test_what_is_not_there_is_said(
    registry: str, connect: Connect, around: Surroundings, imported: LockedWeight
) -> None:
    with (
        connect(f"{registry}/me/nothing") as repository,
        pytest.raises(pulling.NotInRegistryError, match="there is no manifest sha256:") as caught,
    ):
        pulling.pull(repository, imported, emptied(around))
    assert "weights import" in caught.value.hint


@pytest.mark.parametrize("kind", ["contents", "extra", "lacking"])
def test_a_layer_that_is_another_one(
    faulty: Any, connect: Connect, around: Surroundings, imported: LockedWeight, kind: str
) -> None:
    with connect(f"{faulty.host}/me/model") as repository:
        publish(repository, imported, around)
        bundle = next(layer for layer in imported.layers if len(imported.files_in(layer.digest)) == 2)
        first, second = imported.files_in(bundle.digest)
        changed = {
            "contents": [replace(first, digest=digest_of(b"x")), second],
            "extra": [first],
            "lacking": [first, second, replace(second, path="z")],
        }[kind]
        others = tuple(file for file in imported.files if file.layer != bundle.digest)
        with pytest.raises(pulling.NotInRegistryError) as caught:
            pulling.pull(repository, replace(imported, files=(*others, *changed)), emptied(around))
    said = {
        "contents": "config.json is another file",
        "extra": "it holds tokenizer.json, which weights.lock does not name",
        "lacking": "it lacks z",
    }
    assert said[kind] in str(caught.value)


def test_a_large_file_that_is_another_one(
    faulty: Any, connect: Connect, around: Surroundings, imported: LockedWeight
) -> None:
    (large,) = (layer for layer in imported.layers if layer.media_type == TAR)
    with connect(f"{faulty.host}/me/model") as repository:
        publish(repository, imported, around)
        (key,) = (one for one in faulty.blobs if one[1] == large.digest)
        content = bytearray(faulty.blobs[key])
        content[len(content) // 2] ^= 1
        faulty.blobs[key] = bytes(content)
        fresh = emptied(around)
        with pytest.raises(pulling.NotInRegistryError, match=r"large\.safetensors"):
            pulling.pull(repository, imported, fresh)
    file = imported.files_in(large.digest)[0]
    assert not fresh.store.held(file.digest, file.size)


def test_how_weights_stand(
    registry: str, connect: Connect, around: Surroundings, imported: LockedWeight
) -> None:
    stale = replace(imported, name="stale", target="/elsewhere")
    lost = replace(_packed_otherwise(imported), name="lost", target="/src/lost")
    old = replace(imported, name="old")
    config = config_of(*(weight("w", name=name) for name in ("unet", "stale", "lost", "new")))
    with connect(f"{registry}/me/status") as repository:
        publish(repository, imported, around)
        lock = WeightsLock((imported, stale, lost, old))
        found = {one.name: one.state for one in statuses(config, lock, lambda: repository, around)}
    assert found == {
        "unet": "ready",
        "stale": "stale",
        "lost": "incomplete",
        "new": "pending",
        "old": "orphaned",
    }


def test_the_registry_is_not_asked_in_vain(around: Surroundings) -> None:
    found = statuses(config_of(weight("w")), WeightsLock(), lambda: pytest.fail("asked"), around)
    assert [one.state for one in found] == ["pending"]


def test_a_lock_is_written_where_something_changed(project: Path, imported: LockedWeight) -> None:
    configured = [weight("w")]
    lock = importing.write(project, WeightsLock(), [imported], configured)
    assert weights_lock.read_lock(project) == lock
    assert lock.envelope == packing.ENVELOPE
    path = project / "weights.lock"
    before = path.stat()
    assert importing.write(project, lock, [imported], configured) == lock
    assert path.stat().st_ino == before.st_ino
    assert importing.write(project, lock, [], []) == WeightsLock((), packing.PLAIN_ENVELOPE)
    assert json.loads(path.read_text())["weights"] == []


def test_an_envelope_says_who_packed(imported: LockedWeight, project: Path) -> None:
    configured = [weight("w")]
    theirs = WeightsLock((imported,), packing.PLAIN_ENVELOPE)
    assert importing.write(project, theirs, [imported], configured).envelope == packing.PLAIN_ENVELOPE
    again = _packed_otherwise(imported)
    assert importing.write(project, theirs, [again], configured).envelope == packing.ENVELOPE


def test_the_store_is_all_that_a_pull_writes(
    registry: str, connect: Connect, around: Surroundings, imported: LockedWeight, project: Path
) -> None:
    fresh = emptied(around)
    with connect(f"{registry}/me/only") as repository:
        publish(repository, imported, around)
        shutil.rmtree(project / "w")
        pulling.pull(repository, imported, fresh)
    assert {path.name for path in fresh.store.root.iterdir()} == {"files"}
    assert len([path for path in fresh.store.root.rglob("*") if path.is_file()]) == 4
