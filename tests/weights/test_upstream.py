"""Bytes that have to be upstream's: locks, manifests, digests of layers.

``upstream/weights.lock`` is what Cog 0.23.1 wrote of the files that :func:`files` makes anew,
``upstream/headers.jsonl`` has digests of headers that Go 1.26's ``archive/tar`` wrote.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.system.digests import digest_of
from cog_nix.weights import lock, manifest, packing, tar
from cog_nix.weights.blob import LayerBlob, Measured, compressed
from cog_nix.weights.model import TAR, File, set_digest
from cog_nix.weights.store import WeightsStore

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent / "upstream"
ZEROS = {"model.PTH": 64 << 20, "deep/u&v.bin": (64 << 20) + 1, "deep/er/модель.safetensors": 65 << 20}
SMALL = {
    "a.txt": b"hello & <world>",
    "empty": b"",
    "sub/onnx/m.bin": b"yes",
    "deep/er/tokenizer.json": b'{"a": 1}\n',
}
HEADERS = [json.loads(line) for line in (HERE / "headers.jsonl").read_text().splitlines()]


def files(store: WeightsStore) -> Iterator[File]:
    """Put the files into a store; large ones are holes."""
    for path, size in ZEROS.items():
        found = hashlib.sha256()
        piece = bytes(1 << 20)
        for _ in range(size >> 20):
            found.update(piece)
        found.update(bytes(size & 0xFFFFF))
        file = File(path, size, f"sha256:{found.hexdigest()}")
        store.path(file.digest).parent.mkdir(parents=True, exist_ok=True)
        with store.path(file.digest).open("wb") as stream:
            stream.truncate(size)
        yield file
    for path, content in SMALL.items():
        file = File(path, len(content), digest_of(content))
        store.put(file.digest, file.size, [content])
        yield file


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> WeightsStore:
    """Return a store with the files."""
    found = WeightsStore(tmp_path_factory.mktemp("store"))
    list(files(found))
    return found


def test_a_lock_is_read_and_written() -> None:
    found = lock.read_lock(HERE)
    assert lock.format_lock(found) == (HERE / "weights.lock").read_bytes()
    assert found.envelope == packing.PLAIN_ENVELOPE != packing.ENVELOPE


def test_digests_of_sets_and_manifests() -> None:
    for weight in lock.read(HERE):
        assert set_digest(weight.files) == weight.set_digest
        assert digest_of(manifest.manifest(weight)) == weight.digest


def test_tags() -> None:
    assert [manifest.tag(weight).partition(".")[2] for weight in lock.read(HERE)] == [
        f"my_big-one.{lock.read(HERE)[0].set_digest[7:19]}",
        f"plain.{lock.read(HERE)[1].set_digest[7:19]}",
    ]


def test_layers(store: WeightsStore) -> None:
    for weight in lock.read(HERE):
        known = {layer.digest: layer for layer in weight.layers}
        home = {file.path: file.layer for file in weight.files}
        planned = packing.plan(File(file.path, file.size, file.digest) for file in weight.files)
        assert len(planned) == len(known)
        for layer in planned:
            (digest,) = {home[file.path] for file in layer.files}
            assert layer.media_type == known[digest].media_type
            assert layer.content_size == known[digest].content_size
            if layer.media_type == TAR:
                assert LayerBlob(layer, store).measure() == known[digest]


def test_layers_can_be_read_from_anywhere(store: WeightsStore) -> None:
    bundle, *_, large = packing.plan(files(store))
    for layer, step in ((bundle, 7), (large, 4_999_999)):
        blob = LayerBlob(layer, store)
        whole = b"".join(blob.pieces())
        for start in (*range(0, len(whole), step), len(whole) - 1024, len(whole)):
            assert b"".join(blob.pieces(start)) == whole[start:]


def test_a_layer_is_measured_as_its_file_comes(store: WeightsStore) -> None:
    (layer,) = packing.plan([File("deep/u&v.bin", (64 << 20) + 1, "sha256:" + "0" * 64)])
    found = Measured(layer.files[0])
    for _ in range(64):
        found.update(bytes(1 << 20))
    found.update(b"\0")
    (file,) = (file for file in files(store) if file.path == "deep/u&v.bin")
    assert f"sha256:{found.hexdigest()}" == file.digest
    assert found.layer() in lock.read(HERE)[0].layers


@pytest.mark.parametrize("row", HEADERS, ids=[f"{row['path'][:12]}-{row['size']}" for row in HEADERS])
def test_headers(row: dict[str, str]) -> None:
    path, size = row["path"], int(row["size"])
    header = tar.folder_header(path[:-1]) if path.endswith("/") else tar.file_header(path, size)
    assert hashlib.sha256(header).hexdigest() == row["sha256"]


def test_gzip_has_no_clock() -> None:
    packed = b"".join(compressed([b"a" * 1000, b"b"], 9))
    assert gzip.decompress(packed) == b"a" * 1000 + b"b"
    assert packed[4:8] == bytes(4), "the time (RFC 1952, section 2.3.1)"
