from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import archive
import blob
import oci
import pytest
from backports import zstd
from failure import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable

    import stream

    MakeFragment = Callable[..., Path]

_NOISE = random.Random(5).randbytes(1 << 20)  # noqa: S311 - any bytes that do not compress


def _described(folder: Path) -> stream.Layer:
    """Return a fragment's description as it would be in /nix/store."""
    found = json.loads((folder / "fragment.json").read_text())
    parts = [
        {**part, "path": f"/nix/store/{Path(part['path']).relative_to(folder.parent)}"}
        for part in found["parts"]
    ]
    layer: stream.Layer = {**found, "parts": parts}  # type: ignore[typeddict-item]
    return layer


@pytest.fixture
def layer(make_fragment: MakeFragment) -> stream.Layer:
    return _described(make_fragment("noise", archive.Entry("data", 0o644, data=_NOISE)))


def test_a_blob_is_the_layers_tar_in_gzip(layer: stream.Layer, store: Path, tmp_path: Path) -> None:
    found = blob.write(layer, tmp_path / "blob", store)
    data = (tmp_path / "blob").read_bytes()
    assert found["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert found["size"] == len(data)
    assert found["diff_id"] == layer["diff_id"]
    assert f"sha256:{hashlib.sha256(gzip.decompress(data)).hexdigest()}" == layer["diff_id"]


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_do_not_show_in_the_result(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(blob, "BLOCK", 1 << 15)
    data = _NOISE + bytes(1 << 20) + _NOISE[:77]
    expected = b"".join(
        blob.compress_block(data[start : start + blob.BLOCK]) for start in range(0, len(data), blob.BLOCK)
    )
    found = b"".join(blob.members(io.BytesIO(data), threads))
    assert found == expected
    assert gzip.decompress(found) == data


def test_each_block_is_a_member_without_a_time() -> None:
    member = blob.compress_block(b"text")
    assert member[:2] == b"\x1f\x8b"
    assert member[4:8] == bytes(4), "RFC 1952: MTIME"
    assert member[3] == 0, "RFC 1952: FLG, so neither name nor comment"


def test_zstandard_has_a_frame_for_each_block(layer: stream.Layer, store: Path, tmp_path: Path) -> None:
    found = blob.write(layer, tmp_path / "blob", store, "zstd")
    plain = zstd.decompress((tmp_path / "blob").read_bytes())
    assert f"sha256:{hashlib.sha256(plain).hexdigest()}" == found["diff_id"] == layer["diff_id"]
    assert found["annotations"] == {}


def test_nothing_is_compressed_where_that_is_asked_for(
    layer: stream.Layer, store: Path, tmp_path: Path
) -> None:
    found = blob.write(layer, tmp_path / "blob", store, "none")
    assert found["digest"] == layer["diff_id"]
    assert found["size"] == layer["size"]


def test_a_seed_without_zstandard_ends_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "backports", None)
    with pytest.raises(BuildError, match="no Zstandard"):
        blob.zstd_frame(b"text")


@pytest.mark.parametrize("compression", ["zstd", "zstd:chunked", "none"])
def test_a_layout_says_how_its_layers_are_compressed(
    compression: str, layer: stream.Layer, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob, "STORE", store)
    image: stream.Image = {"config": "{}", "layers": [layer], "tag": "a:b"}
    oci.write(image, [None], store / "layout", "a:b", compression)
    (pointer,) = json.loads((store / "layout/index.json").read_text())["manifests"]
    manifest = json.loads((store / "layout/blobs/sha256" / pointer["digest"][7:]).read_text())
    (one,) = manifest["layers"]
    suffix = "" if compression == "none" else "+zstd"
    assert one["mediaType"] == f"application/vnd.oci.image.layer.v1.tar{suffix}"
    assert ("annotations" in one) == (compression == "zstd:chunked")


def test_a_seed_without_libdeflate_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deflate", None)
    assert blob.compress_block(b"text" * 99) == zlib.compress(b"text" * 99, 1, 31)


def test_a_layout_holds_links_and_what_it_compressed_itself(
    layer: stream.Layer, store: Path, make_fragment: MakeFragment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob, "STORE", store)
    source = _described(make_fragment("source", archive.Entry("src/a.py", 0o644, data=b"1")))
    below = store / "blob-noise"
    below.mkdir()
    (below / "blob.json").write_text(json.dumps(blob.write(layer, below / "blob", store)))
    image: stream.Image = {"config": '{"rootfs": {}}', "layers": [layer, source, layer], "tag": "a:b"}
    out = store / "layout"
    oci.write(image, [below, None, below], out, "example.org:5000/a:b")

    index = json.loads((out / "index.json").read_text())
    (pointer,) = index["manifests"]
    assert pointer["annotations"] == {"org.opencontainers.image.ref.name": "b"}
    names = {path.name for path in (out / "blobs/sha256").iterdir()}
    assert names == {hashlib.sha256((out / "blobs/sha256" / name).read_bytes()).hexdigest() for name in names}
    manifest = json.loads((out / "blobs/sha256" / pointer["digest"].removeprefix("sha256:")).read_text())
    first, second, third = (one["digest"].removeprefix("sha256:") for one in manifest["layers"])
    assert first == third
    assert (out / "blobs/sha256" / first).readlink() == Path("../../../blob-noise/blob")
    assert not (out / "blobs/sha256" / second).is_symlink()
    for one in [manifest["config"], *manifest["layers"], pointer]:
        assert (out / "blobs/sha256" / one["digest"].removeprefix("sha256:")).stat().st_size == one["size"]
    assert (out / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text() == image["config"]


def test_a_layer_that_a_registry_holds_is_named_and_left_out(
    store: Path, make_fragment: MakeFragment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob, "STORE", store)
    source = _described(make_fragment("source", archive.Entry("src/a.py", 0o644, data=b"1")))
    held: stream.Layer = {"name": "base", "diff_id": f"sha256:{'1' * 64}", "size": 9, "parts": []}
    known: oci.Known = {
        "diff_id": held["diff_id"],
        "size": 9,
        "digest": f"sha256:{'2' * 64}",
        "compressed": 5,
    }
    config = json.dumps({"config": {"Labels": {"run.cog.pip_freeze": "a==1\n"}}})
    image: stream.Image = {"config": config, "layers": [held, source], "tag": "a:b"}
    out = store / "layout"
    layers = oci.write(image, [known, None], out, "a:b")
    assert (layers[0]["digest"], layers[0]["size"]) == (known["digest"], 5)
    assert not (out / "blobs/sha256" / ("2" * 64)).exists()
    told = oci.known(image, layers, {"layers": ["key-base", None], "frozen": "key"})
    assert told == {"layers": {"key-base": known}, "frozen": {"key": "a==1\n"}}
    assert oci.known(image, layers, {"layers": [None, None], "frozen": None}) == {"layers": {}, "frozen": {}}
