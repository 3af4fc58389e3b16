"""Layers whose files stay in the project: what is said of them, and what is read of them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import archive
import folder as folder_builder
import image as image_builder
import pytest

from cog_nix.image import file_layers, project_files
from cog_nix.image.layer_bytes import LayerBytes
from cog_nix.image.pieces import cut, read
from cog_nix.image.project_files import FileChangedError, FilesGoneError
from tests.image.outside import described, layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.image.description import ImageDescription

FILES = {
    "model/a.bin": random.Random(1).randbytes(3_000_000),  # noqa: S311 - any bytes
    "model/" + "long" * 30 + "/é.bin": b"e" * 700,
    "model/empty": b"",
    "run.sh": b"#!/bin/sh\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, with a cache of its own, from which the current folder is elsewhere."""
    root = tmp_path / "project"
    for name, data in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "run.sh").chmod(0o700)
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COG_CACHE_DIR", str(tmp_path / "upstream"))
    monkeypatch.chdir(tmp_path)
    return root


def tar(image: ImageDescription, start: int = 0) -> bytes:
    return b"".join(read(LayerBytes(image.layers[0], image.path.parent).pieces(start)))


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from now on."""
    found: list[str] = []
    contents = file_layers._contents

    def noted(path: Path, status: list[int]) -> Iterator[memoryview]:
        found.append(path.name)
        return contents(path, status)

    monkeypatch.setattr(file_layers, "_contents", noted)
    return found


@pytest.mark.parametrize("name", ["weights", "files"])
def test_the_layer_is_the_one_that_the_store_would_hold(project: Path, tmp_path: Path, name: str) -> None:
    image = described(project, tmp_path / "store", name)
    archive.write_fragment(tmp_path / "fragment", folder_builder.entries(project, "/src"), name)
    expected = image_builder.read_layer({"name": name, "path": None}, tmp_path / "fragment")
    assert (image.layers[0].diff_id, image.layers[0].size) == (expected["diff_id"], expected["size"])
    whole = tar(image)
    assert f"sha256:{hashlib.sha256(whole).hexdigest()}" == expected["diff_id"]
    in_store = sum(path.stat().st_size for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert in_store < 20_000


def test_it_is_read_from_any_byte_on(project: Path, tmp_path: Path) -> None:
    image = described(project, tmp_path / "store")
    whole = tar(image)
    some = random.Random(3)  # noqa: S311 - any places
    places = [0, 1, 511, 512, 3_000_000, len(whole) - 1025, len(whole) - 1, len(whole)]
    for start in [*places, *(some.randrange(len(whole)) for _ in range(30))]:
        assert tar(image, start) == whole[start:]
        end = some.randint(start, len(whole))
        pieces = LayerBytes(image.layers[0], image.path.parent).pieces(start)
        assert b"".join(read(cut(pieces, 0, end - start))) == whole[start:end]


def test_nothing_is_read_again_as_long_as_it_is_the_same(project: Path, read_files: list[str]) -> None:
    first = layers(project)
    assert len(read_files) == len(FILES)
    assert layers(project) == first
    assert len(read_files) == len(FILES)
    path = project / "run.sh"
    before = path.stat()
    path.write_bytes(b"#!/bin/ls\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert layers(project) != first, "its size and time of modification are the same"


def test_a_file_that_changed_just_before_is_read_again(project: Path, read_files: list[str]) -> None:
    for began in (None, project.stat().st_ctime_ns):
        layers(project, began=began)
    assert len(read_files) == 2 * len(FILES)


def test_a_project_that_was_moved_is_not_read_again(
    project: Path, tmp_path: Path, read_files: list[str]
) -> None:
    image = described(project, tmp_path / "store")
    whole = tar(image)
    moved = project.rename(tmp_path / "moved")
    with pytest.raises(FilesGoneError):
        tar(image)
    read_files.clear()
    assert described(moved, tmp_path / "store").layers == image.layers
    assert read_files == []
    assert tar(image) == whole


def test_holes_are_hashed_and_not_read(project: Path, tmp_path: Path) -> None:
    path = project / "sparse"
    with path.open("wb") as stream:
        stream.seek(50 << 20)
        stream.write(b"data")
        stream.truncate(120 << 20)
    assert path.stat().st_blocks < 100
    image = described(project, tmp_path / "store")
    assert f"sha256:{hashlib.sha256(tar(image)).hexdigest()}" == image.layers[0].diff_id
    entries = {one.path: one for one in project_files.entries(next((tmp_path / "store").glob("*-files")))}
    with path.open("rb") as opened:
        assert entries["sparse"].sha256 == hashlib.file_digest(opened, "sha256").hexdigest()


def test_names_of_one_file_are_files_of_the_image(project: Path, tmp_path: Path) -> None:
    (project / "another name").hardlink_to(project / "model/a.bin")
    image = described(project, tmp_path / "store")
    with tarfile.open(fileobj=io.BytesIO(tar(image))) as opened:
        for name in ("another name", "model/a.bin"):
            assert opened.getmember(f"src/{name}").isreg()
            found = opened.extractfile(f"src/{name}")
            assert found
            assert found.read() == FILES["model/a.bin"]


def test_a_file_that_changes_while_it_is_hashed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = file_layers._contents

    def changing(path: Path, status: list[int]) -> Iterator[memoryview]:
        for piece in contents(path, status):
            if path.name == "a.bin":
                with path.open("ab") as stream:
                    stream.write(b"more")
            yield piece

    monkeypatch.setattr(file_layers, "_contents", changing)
    with pytest.raises(FileChangedError, match=r"a\.bin has changed while it was read") as caught:
        layers(project)
    assert caught.value.hint
    assert not list(Path(os.environ["COG_NIX_CACHE_DIR"], "file-layers").glob("*/found.json"))


@pytest.mark.parametrize(
    ("size", "before"), [(700, 2), (3_000_000, 2), (3_000_000, 3)], ids=["small", "large", "in-the-middle"]
)
def test_a_file_that_changes_while_it_is_sent(project: Path, tmp_path: Path, size: int, before: int) -> None:
    image = described(project, tmp_path / "store")
    path = next(project / name for name, data in FILES.items() if len(data) == size)
    pieces = LayerBytes(image.layers[0], image.path.parent).pieces()
    for _ in range(before):
        next(pieces)
    path.write_bytes(bytes(size))
    with pytest.raises(FileChangedError, match="has changed since the image was built"):
        for _ in read(pieces):
            pass


def test_a_file_that_is_gone_is_named(project: Path, tmp_path: Path) -> None:
    image = described(project, tmp_path / "store")
    (project / "model/a.bin").unlink()
    with pytest.raises(FilesGoneError, match=r"has model/a\.bin of .*/project, which is not there") as caught:
        tar(image)
    assert caught.value.paths == ("model/a.bin",)
    assert "build the image again" in caught.value.hint


def test_a_file_with_the_same_content_serves(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = described(project, tmp_path / "store")
    whole = tar(image)
    shutil.copytree(project, tmp_path / "clone")
    data = FILES["model/a.bin"]
    (project / "model/a.bin").unlink()
    monkeypatch.chdir(tmp_path / "clone")
    assert tar(image) == whole, "from this folder"
    (tmp_path / "clone/model/a.bin").write_bytes(bytes(len(data)))
    digest = hashlib.sha256(data).hexdigest()
    stored = tmp_path / f"upstream/weights/files/sha256/{digest[:2]}/{digest}"
    with pytest.raises(FilesGoneError):
        tar(image)
    stored.parent.mkdir(parents=True)
    stored.write_bytes(data)
    assert tar(image) == whole, "from the store of weights"


def test_what_is_remembered_may_be_damaged(project: Path, tmp_path: Path) -> None:
    image = described(project, tmp_path / "store")
    for found in Path(os.environ["COG_NIX_CACHE_DIR"]).rglob("found.json"):
        found.write_text('{"format": 1, "statuses": 7}')
    with pytest.raises(FilesGoneError):
        tar(image)
    assert described(project, tmp_path / "store").layers == image.layers
    assert tar(image)


def test_the_oldest_are_forgotten(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_layers, "_KEPT", 2)
    for number in range(4):
        (project / "run.sh").write_text(str(number))
        (layer,) = layers(project)
    kept = Path(os.environ["COG_NIX_CACHE_DIR"], "file-layers")
    assert len(list(kept.glob("*/found.json"))) == 2
    assert len(list((kept / "by-digest").iterdir())) == 2
    assert json.loads((layer / "fragment.json").read_text())["name"] == "weights"
