"""A layer of single files: the tar that its parts make up, and what is not copied."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

import files
import folder
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    import archive

SIZES = {"/opt/m/small.json": 5, "/opt/m/large.bin": (1 << 20) + 7, "/src/block.bin": 1 << 20, "/top": 0}


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """Return a layer of files of these sizes."""
    entries: list[archive.Entry] = []
    for number, (place, size) in enumerate(SIZES.items()):
        path = tmp_path / f"file-{number}"
        path.write_bytes(bytes([number]) * size)
        path.chmod(0o444)
        entries += folder.entries(path, place)
    out = tmp_path / "out"
    out.mkdir()
    files.write(out, entries)
    return out


def test_its_parts_are_a_tar(layer: Path) -> None:
    described = json.loads((layer / "fragment.json").read_text())
    data = b""
    for part in described["parts"]:
        with open(part["path"], "rb") as stream:  # noqa: PTH123 - text
            stream.seek(part["offset"])
            data += stream.read(part["size"])
    data += bytes(1024)
    assert described["size"] == len(data)
    assert described["diff_id"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {member.name: member for member in tar}
        assert {f"/{name}": one.size for name, one in found.items() if one.isreg()} == SIZES
        assert {name for name, one in found.items() if one.isdir()} == {"opt", "opt/m", "src"}
        assert {one.mode for one in found.values() if one.isreg()} == {0o644}
        assert {one.mtime for one in found.values()} == {315532800}
        for number, name in enumerate(SIZES):
            content = tar.extractfile(name.strip("/"))
            assert content is not None
            assert set(content.read()) <= {number}


def test_large_files_stay_where_they_are(layer: Path) -> None:
    assert sum(path.stat().st_size for path in layer.iterdir()) < 1 << 18
    described = json.loads((layer / "fragment.json").read_text())
    assert [part["path"] for part in described["parts"] if "/file-" in part["path"]] == [
        str(layer.parent / "file-1"),
        str(layer.parent / "file-2"),
    ]
