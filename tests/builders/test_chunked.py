"""Layers as Podman reads them in parts, taken apart as the format is described."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import struct
import tarfile
from typing import Any

import blob
import chunked
import crc64
import pytest
from backports import zstd

_NOISE = random.Random(7).randbytes(300_000)  # noqa: S311 - any bytes that do not compress
_LONG = f"opt/{'n' * 120}/ä"


def _tar() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, data, link in (
            ("opt", tarfile.DIRTYPE, b"", ""),
            ("opt/empty", tarfile.REGTYPE, b"", ""),
            ("opt/noise", tarfile.REGTYPE, _NOISE, ""),
            ("opt/link", tarfile.SYMTYPE, b"", "noise"),
            ("opt/hard", tarfile.LNKTYPE, b"", "opt/noise"),
            (_LONG, tarfile.REGTYPE, b"short", ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname, info.mode, info.mtime = kind, len(data), link, 0o4755, 1
            if name == "opt/empty":
                info.pax_headers = {"SCHILY.xattr.user.note": "yes"}
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, bytes, dict[str, str]]:
    """Return a tar, the layer that is made of it, and its annotations; a file of it has three chunks."""
    monkeypatch.setattr(chunked, "BLOCK", 1 << 17)
    annotations: dict[str, str] = {}
    tar = _tar()
    pieces = chunked.write(io.BytesIO(tar), blob.zstd_frame, blob.in_parallel, annotations)
    return tar, b"".join(pieces), annotations


def _part(data: bytes, annotation: str) -> bytes:
    offset, packed, size = map(int, annotation.split(":")[:3])
    assert struct.unpack("<II", data[offset - 8 : offset]) == (0x184D2A50, packed)
    found = zstd.decompress(data[offset : offset + packed])
    assert len(found) == size
    return found


def _table(data: bytes, annotations: dict[str, str]) -> dict[str, Any]:
    position = annotations["io.github.containers.zstd-chunked.manifest-position"]
    offset, packed = map(int, position.split(":")[:2])
    digest = hashlib.sha256(data[offset : offset + packed]).hexdigest()
    assert annotations["io.github.containers.zstd-chunked.manifest-checksum"] == f"sha256:{digest}"
    table: dict[str, Any] = json.loads(_part(data, position))
    return table


def test_a_plain_reader_gets_the_tar(layer: tuple[bytes, bytes, dict[str, str]]) -> None:
    tar, data, _ = layer
    assert zstd.decompress(data) == tar


def test_each_file_can_be_had_alone(layer: tuple[bytes, bytes, dict[str, str]]) -> None:
    tar, data, annotations = layer
    table = _table(data, annotations)
    assert table["version"] == 1
    contents: dict[str, bytes] = {}
    for entry in table["entries"]:
        if entry["type"] == "chunk":
            assert entry["chunkOffset"] == len(contents[entry["name"]])
        if entry["type"] in {"reg", "chunk"} and "offset" in entry:
            # A chunk's own frame begins at its offset; the entry of the file ends where all of them do.
            stream = zstd.ZstdDecompressor()
            part = stream.decompress(data[entry["offset"] :])
            if "chunkDigest" in entry:
                assert entry["chunkSize"] == len(part)
                assert entry["chunkDigest"] == f"sha256:{hashlib.sha256(part).hexdigest()}"
            contents[entry["name"]] = contents.get(entry["name"], b"") + part
    assert contents == {"opt/noise": _NOISE, _LONG: b"short"}
    files = {entry["name"]: entry for entry in table["entries"] if entry["type"] != "chunk"}
    assert files["opt/noise"]["digest"] == f"sha256:{hashlib.sha256(_NOISE).hexdigest()}"
    whole = data[files["opt/noise"]["offset"] : files["opt/noise"]["endOffset"]]
    assert zstd.decompress(whole) == _NOISE
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        assert [name.rstrip("/") for name in files] == members.getnames()


def test_the_table_says_what_headers_say(layer: tuple[bytes, bytes, dict[str, str]]) -> None:
    _, data, annotations = layer
    files = {one["name"]: one for one in _table(data, annotations)["entries"] if one["type"] != "chunk"}
    assert files["opt/"] == {"type": "dir", "name": "opt/", "mode": 0o4755, "modtime": "1970-01-01T00:00:01Z"}
    assert files["opt/link"]["linkName"] == "noise"
    assert (files["opt/hard"]["type"], files["opt/hard"]["linkName"]) == ("hardlink", "opt/noise")
    assert files["opt/empty"]["xattrs"] == {"user.note": base64.b64encode(b"yes").decode()}
    assert "digest" not in files["opt/empty"]


def test_the_tar_can_be_made_again_from_its_files(layer: tuple[bytes, bytes, dict[str, str]]) -> None:
    tar, data, annotations = layer
    position = annotations["io.github.containers.zstd-chunked.tarsplit-position"]
    offset, packed = map(int, position.split(":")[:2])
    digest = hashlib.sha256(data[offset : offset + packed]).hexdigest()
    assert _table(data, annotations)["tarSplitDigest"] == f"sha256:{digest}"
    made = b""
    contents = {"opt/noise": _NOISE, _LONG: b"short"}
    for number, line in enumerate(_part(data, position).decode().splitlines()):
        entry = json.loads(line)
        assert entry["position"] == number
        if entry["type"] == 2:
            made += base64.b64decode(entry["payload"])
        elif entry.get("size"):
            content = contents[entry["name"]]
            assert base64.b64decode(entry["payload"]) == _slowly(content)
            made += content
    assert made == tar


def test_the_end_says_where_the_parts_are(layer: tuple[bytes, bytes, dict[str, str]]) -> None:
    _, data, annotations = layer
    numbers = struct.unpack("<7Q", data[-64:-8])
    assert data[-8:] == b"GNUlInUx"
    position = annotations["io.github.containers.zstd-chunked.manifest-position"]
    assert ":".join(map(str, numbers[:3])) + ":1" == position
    split = annotations["io.github.containers.zstd-chunked.tarsplit-position"]
    assert ":".join(map(str, numbers[4:])) == split


@pytest.mark.parametrize("threads", [1, 5])
def test_threads_do_not_show(layer: tuple[bytes, bytes, dict[str, str]], threads: int) -> None:
    tar, data, _ = layer

    def parallel(blocks: Any, compress: Any) -> Any:
        return blob.in_parallel(blocks, compress, threads)

    assert b"".join(chunked.write(io.BytesIO(tar), blob.zstd_frame, parallel, {})) == data


def _slowly(data: bytes) -> bytes:
    """Return the checksum bit by bit (reveng's catalogue, CRC-64/GO-ISO)."""
    register = (1 << 64) - 1
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xD800000000000000 if register & 1 else 0)
    return (register ^ (1 << 64) - 1).to_bytes(8, "big")


def test_the_checksum_of_the_catalogue() -> None:
    found = crc64.Checksum()
    found.update(b"123456789")
    assert found.digest().hex() == "b90956c775a41001"


@pytest.mark.parametrize("size", [*range(34), 1999, 2000, 2001, 65536 + 17])
def test_a_checksum_is_that_of_bits_in_whatever_pieces(size: int) -> None:
    data = _NOISE[:size]
    whole, cut = crc64.Checksum(), crc64.Checksum()
    whole.update(data)
    for start in range(0, size, 1 + size // 3):
        cut.update(data[start : start + 1 + size // 3])
    assert whole.digest() == cut.digest() == _slowly(data)
