"""What the builders read and write, made small: fragments, packages, wheels."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import archive
import layer
import pytest
import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    MakeFragment = Callable[..., Path]
    MakeDeb = Callable[..., Path]
    MakeWheel = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a folder that stands for /nix/store."""
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def make_fragment(store: Path) -> MakeFragment:
    """Return a function that writes a fragment of these entries under ``HASH-name``."""

    def make(name: str, *entries: archive.Entry) -> Path:
        out = store / f"{'0' * 32}-{name}"
        archive.write_fragment(out, entries, name)
        return out

    return make


@dataclass(frozen=True)
class Layer:
    """A layer as bytes."""

    data: bytes
    diff_id: str

    def members(self) -> list[tarfile.TarInfo]:
        """Return all members, in the order of the archive."""
        with tarfile.open(fileobj=io.BytesIO(self.data)) as tar:
            return tar.getmembers()

    def names(self) -> list[str]:
        """Return the paths, in the order of the archive."""
        return [member.name for member in self.members()]

    def read(self, name: str) -> bytes:
        """Return a file's bytes, hard links followed."""
        with tarfile.open(fileobj=io.BytesIO(self.data)) as tar:
            opened = tar.extractfile(name)
            assert opened is not None
            return opened.read()


def read_layer(folder: Path) -> Layer:
    """Read a layer through the module that streams images, whatever folder its store is."""
    described = json.loads((folder / "fragment.json").read_text())
    store = folder.parent
    parts = [
        {**part, "path": f"/nix/store/{Path(part['path']).relative_to(store)}"} for part in described["parts"]
    ]
    one: stream.Layer = {**described, "parts": parts}  # type: ignore[typeddict-item]
    with stream.open_layer(one, store) as opened:
        data = opened.read()
    assert len(data) == described["size"]
    return Layer(data, described["diff_id"])


@pytest.fixture
def read() -> Callable[[Path], Layer]:
    """Return a function that reads the layer which a fragment or a tied layer describes."""
    return read_layer


@pytest.fixture
def tie(store: Path) -> Callable[..., Path]:
    """Return a function that ties fragments into a layer."""

    def make(*fragments: Path, name: str = "tied") -> Path:
        out = store / f"{'1' * 32}-{name}"
        out.mkdir()
        archive.write_description(out, name, archive.describe(layer.merge(list(fragments), out)))
        return out

    return make


_METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


def _ar(members: Sequence[tuple[str, bytes]]) -> bytes:
    """Return an ar(5) archive, written here by the manual page and not by the code under test."""
    out = b"!<arch>\n"
    for name, data in members:
        out += f"{name:<16}{1700000000:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += data + b"\n" * (len(data) % 2)
    return out


def _plain(data: bytes) -> bytes:
    return data


_COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    "": _plain,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": _plain,
    ".odd": _plain,
}


@pytest.fixture
def make_deb(tmp_path: Path) -> MakeDeb:
    """Return a function that writes a Debian package of these members."""

    def make(
        *members: tuple[tarfile.TarInfo, bytes], suffix: str = ".xz", name: str = "some_1_all.deb"
    ) -> Path:
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for info, data in members:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        data = _COMPRESSIONS[suffix](raw.getvalue())
        path = tmp_path / name
        control = gzip.compress(b"not looked at")
        path.write_bytes(
            _ar([("debian-binary", b"2.0\n"), ("control.tar.gz", control), (f"data.tar{suffix}", data)])
        )
        return path

    return make


@pytest.fixture
def make_wheel(tmp_path: Path) -> MakeWheel:
    """Return a function that writes a wheel of these files."""

    def make(
        files: Mapping[str, str],
        *,
        name: str = "Tiny_Thing",
        version: str = "1.0",
        record: bool = True,
        entry_points: str = "",
    ) -> Path:
        info = f"{name}-{version}.dist-info"
        every = {
            **files,
            f"{info}/METADATA": _METADATA.format(name=name.replace("_", "."), version=version),
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        if entry_points:
            every[f"{info}/entry_points.txt"] = entry_points
        if record:
            rows = [f"{path},sha256={_urlsafe(text)},{len(text.encode())}" for path, text in every.items()]
            every[f"{info}/RECORD"] = "".join(f"{row}\n" for row in [*rows, f"{info}/RECORD,,"])
        path = tmp_path / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for member, text in every.items():
                wheel.writestr(member, text)
        return path

    return make


def _urlsafe(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
