"""A layer's tar, in pieces and as a file."""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import ImageError
from cog_nix.image import pieces
from cog_nix.image.layer_bytes import LayerBytes
from tests.hooks.docker.described import DescribedStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def layer(tmp_path: Path) -> LayerBytes:
    files = {f"file{number}": os.urandom(700_000 + number) for number in range(30)}
    image = DescribedStore(tmp_path).build(files)
    return LayerBytes(image.layers[0], tmp_path)


def test_a_file_has_the_same_bytes_wherever_it_is_read(layer: LayerBytes) -> None:
    whole = b"".join(pieces.read(layer.pieces()))
    assert len(whole) == layer.layer.size
    with layer.opened() as found:
        assert found.read() == whole
        for start in (0, 20_000_000, 511, len(whole) - 1500, 9_000_000, len(whole)):
            assert found.seek(start) == start
            assert found.read(600_000) == whole[start : start + 600_000]
        assert found.seek(-1024, os.SEEK_END) == len(whole) - 1024
        assert found.read() == bytes(1024)


def test_tarfile_reads_it(layer: LayerBytes) -> None:
    with layer.opened() as found, tarfile.open(fileobj=found, mode="r:") as tar:
        names = [one.name for one in tar]
        assert len(names) == 30
        last = tar.extractfile("file29")
        assert last
        assert len(last.read()) == 700_029


def test_a_file_that_is_shorter_than_it_was_is_told(layer: LayerBytes, tmp_path: Path) -> None:
    with next(tmp_path.glob("*-layer01/files.tar")).open("r+b") as stream:
        stream.truncate(1_000_000)
    with layer.opened() as found, pytest.raises(ImageError, match="is shorter than it was when it was built"):
        found.read()
