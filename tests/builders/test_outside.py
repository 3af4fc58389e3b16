"""The executable image of a project whose files are not in the store: it finds them, and sees changes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
import stream

from tests.image.outside import described

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.image.description import ImageDescription

_CONTENT = {"model/a.bin": b"a" * 700_000, "b": b"b" * 10}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of two files."""
    for name, data in _CONTENT.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "project"


@pytest.fixture
def image(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageDescription:
    """An image that has them."""
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path / "cache"))
    return described(project, tmp_path / "store", below=({"lib": b"lib"},))


def write(
    image: ImageDescription, folder: Path, *options: str, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Start the image's program, in a folder and with caches of its own."""
    return subprocess.run(
        [sys.executable, "-I", stream.__file__, image.path, *options],
        cwd=folder,
        env={"HOME": str(folder), **environment},
        capture_output=True,
        check=False,
    )


def digests(archive: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        return {
            one.name: hashlib.sha256(tar.extractfile(one).read()).hexdigest()  # type: ignore[union-attr]
            for one in tar
            if one.name.endswith(".tar")
        }


@pytest.mark.parametrize("how", ["beside", "state", "here", "cache"])
def test_files_are_found(image: ImageDescription, project: Path, tmp_path: Path, how: str) -> None:
    (tmp_path / "empty").mkdir()
    options = {"beside": ["--beside", str(project)], "state": ["--beside", str(project / ".cog")]}.get(
        how, []
    )
    environment = {"COG_NIX_CACHE_DIR": os.environ["COG_NIX_CACHE_DIR"]} if how == "cache" else {}
    ran = write(image, project if how == "here" else tmp_path / "empty", *options, **environment)
    assert ran.returncode == 0, ran.stderr
    found = digests(ran.stdout)
    assert {f"sha256:{one}" for one in found.values()} == set(image.diff_ids)
    assert all(name == f"{digest}.tar" for name, digest in found.items())


def test_files_are_found_in_the_store_of_weights(image: ImageDescription, tmp_path: Path) -> None:
    for data in _CONTENT.values():
        digest = hashlib.sha256(data).hexdigest()
        path = tmp_path / f"upstream/weights/files/sha256/{digest[:2]}/{digest}"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    (tmp_path / "empty").mkdir()
    ran = write(image, tmp_path / "empty", COG_CACHE_DIR=str(tmp_path / "upstream"))
    assert ran.returncode == 0, ran.stderr
    assert {f"sha256:{one}" for one in digests(ran.stdout).values()} == set(image.diff_ids)


def test_a_missing_file_is_named_with_what_helps(image: ImageDescription, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = write(image, tmp_path / "empty")
    assert ran.returncode == 1
    said = ran.stderr.decode()
    assert f"the project's b (10 bytes), which is not in {tmp_path}/empty" in said
    assert "Start ./result in the project" in said


def test_a_file_that_changed_is_noticed(image: ImageDescription, project: Path) -> None:
    (project / "b").write_bytes(b"c" * 10)
    ran = write(image, project)
    assert ran.returncode == 1
    assert b"have changed since it was built. Build it again." in ran.stderr


def test_a_layer_that_is_skipped_needs_no_files(image: ImageDescription, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = write(image, tmp_path / "empty", "--skip", image.diff_ids[1])
    assert ran.returncode == 0, ran.stderr
    assert len(digests(ran.stdout)) == 1
    assert json.loads(write(image, tmp_path / "empty", "--inspect").stdout)["sizes"] == list(image.sizes)
