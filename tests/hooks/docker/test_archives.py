"""The archives that daemons are sent: what is in them, and what is left out."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import ImageError
from cog_nix.image.delta import OciImage, docker_archive, is_described
from cog_nix.image.description import ImageDescription
from cog_nix.image.pieces import FileRange, read
from tests.hooks.docker.conftest import Store
from tests.hooks.docker.described import DescribedStore, layer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cog_nix.image.pieces import Piece


@pytest.fixture
def image(tmp_path: Path) -> ImageDescription:
    twice = layer("a", 20_000)
    return DescribedStore(tmp_path).build(twice, layer("b"), twice, layer("c"))


def members(pieces: Iterable[Piece]) -> dict[str, bytes]:
    """Return the files of an archive."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(read(pieces)))) as tar:
        for member in tar:
            assert member.name not in found
            stream = tar.extractfile(member)
            assert stream is not None
            found[member.name] = stream.read()
    return found


def test_a_docker_archive_is_what_the_image_s_program_writes(image: ImageDescription) -> None:
    skip = image.diff_ids[1:2]
    written = subprocess.run(
        [image.path, "--skip", skip[0], "--tag", "x:1"], check=True, capture_output=True
    ).stdout
    ours = members(docker_archive(image, ["x:1"], skip))
    theirs = members([written])
    manifest = "manifest.json"
    assert json.loads(ours.pop(manifest)) == json.loads(theirs.pop(manifest))
    assert ours == theirs
    assert len(ours) == 3


def test_an_oci_archive_s_blobs_have_the_digests_that_name_them(image: ImageDescription) -> None:
    oci = OciImage(image)
    files = members(oci.archive(()))
    blobs = {name.rpartition("/")[2]: data for name, data in files.items() if name.startswith("blobs/")}
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items())
    (pointer,) = json.loads(files["index.json"])["manifests"]
    assert pointer["digest"] == oci.digest
    manifest = json.loads(blobs[oci.digest.removeprefix("sha256:")])
    assert manifest["config"]["digest"] == image.id
    assert [one["digest"] for one in manifest["layers"]] == list(image.diff_ids)
    assert [one["size"] for one in manifest["layers"]] == list(image.sizes)


def test_layers_are_left_out_and_the_manifest_stays(image: ImageDescription) -> None:
    whole, delta = (members(OciImage(image).archive(skip)) for skip in ((), image.diff_ids[:3]))
    assert whole.keys() - delta.keys() == {f"blobs/{one.replace(':', '/')}" for one in image.diff_ids[:3]}
    assert {name: whole[name] for name in delta} == delta


def test_a_file_of_the_store_that_was_cut(image: ImageDescription) -> None:
    pieces = [piece for piece in docker_archive(image, [], ()) if isinstance(piece, FileRange)]
    assert pieces
    (path,) = set(image.path.parent.glob("*-layer10/files.tar"))
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"layer10/files\.tar is shorter than it was") as caught:
        list(read(docker_archive(image, [], ())))
    assert caught.value.hint == "Build it again."


def test_what_stands_for_an_archive_says_too_little(image: ImageDescription, tmp_path: Path) -> None:
    assert is_described(image)
    assert not is_described(ImageDescription.ask(Store(tmp_path).build(layer("a")).program))
