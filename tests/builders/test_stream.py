"""The executable image: what it writes, and what it says when it cannot."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archive
import pytest
import stream

if TYPE_CHECKING:
    from collections.abc import Callable

_PROGRAM = Path(stream.__file__)


@pytest.fixture
def image(store: Path, make_fragment: Callable[..., Path]) -> Path:
    """Return an executable image of two layers, one of which stands in it twice."""
    layers = []
    for name in ("one", "two"):
        fragment = make_fragment(name, archive.Entry(f"{name}.txt", 0o644, data=name.encode()))
        described = json.loads((fragment / "fragment.json").read_text())
        parts = [
            {**part, "path": part["path"].replace(str(store), "/nix/store")} for part in described["parts"]
        ]
        layers.append({**described, "name": name, "parts": parts})
    layers.append({**layers[0], "name": "again"})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"greeting": "grüß dich"}},
        "rootfs": {"type": "layers", "diff_ids": [layer["diff_id"] for layer in layers]},
    }
    description = {
        "config": json.dumps(config, ensure_ascii=False),
        "layers": layers,
        "tag": "cog-test:latest",
    }
    path = store / f"{'2' * 32}-cog-test"
    path.write_text(f"#!/bin/sh\nexit 0\n{stream.MARK}{json.dumps(description)}")
    return path


def _run(image: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-I", str(_PROGRAM), str(image), *arguments],
        capture_output=True,
        check=True,
        **options,
    )


def _files(data: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            opened = tar.extractfile(member)
            assert opened is not None
            assert member.name not in found
            found[member.name] = opened.read()
    return found


def test_the_archive_is_what_docker_save_writes(image: Path) -> None:
    files = _files(_run(image).stdout)
    (manifest,) = json.loads(files["manifest.json"])
    assert manifest["RepoTags"] == ["cog-test:latest"]
    config = files[manifest["Config"]]
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    diff_ids = [f"sha256:{hashlib.sha256(files[name]).hexdigest()}" for name in manifest["Layers"]]
    assert json.loads(config)["rootfs"]["diff_ids"] == diff_ids
    assert len(diff_ids) == 3


def test_the_same_image_writes_the_same_archive(image: Path) -> None:
    assert _run(image).stdout == _run(image, env={"TZ": "Asia/Tokyo", "LC_ALL": "C"}).stdout


def test_tags_replace_the_images_own(image: Path) -> None:
    files = _files(_run(image, "--tag", "a:1", "--tag", "registry.example.org/b:2").stdout)
    assert json.loads(files["manifest.json"])[0]["RepoTags"] == ["a:1", "registry.example.org/b:2"]


def test_a_skipped_layer_is_named_but_not_there(image: Path) -> None:
    skipped = stream.read(image)["layers"][0]["diff_id"]
    files = _files(_run(image, "--skip", skipped).stdout)
    (manifest,) = json.loads(files["manifest.json"])
    gone = f"{skipped.removeprefix('sha256:')}.tar"
    assert gone not in files
    assert manifest["Layers"].count(gone) == 2
    assert set(files) == {"manifest.json", manifest["Config"], manifest["Layers"][1]}


def test_inspect_tells_what_the_image_is(image: Path) -> None:
    told = json.loads(_run(image, "--inspect").stdout)
    assert told["names"] == ["one", "two", "again"]
    assert told["tag"] == "cog-test:latest"
    assert told["id"] == stream.image_id(stream.read(image))
    assert told["config"]["config"]["Labels"] == {"greeting": "grüß dich"}
    assert told["sizes"] == [layer["size"] for layer in stream.read(image)["layers"]]


def test_a_terminal_is_told_to_be_a_pipe(image: Path) -> None:
    leader, follower = pty.openpty()
    try:
        finished = subprocess.run(
            [sys.executable, str(_PROGRAM), str(image)],
            stdout=follower,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
        )
    finally:
        os.close(follower)
        os.close(leader)
    assert finished.returncode == 1
    assert finished.stderr == "This is a Docker archive; pipe it into 'docker load' or a file.\n"


def test_a_reader_that_goes_away_is_no_traceback(image: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        finished = subprocess.run(
            [sys.executable, str(_PROGRAM), str(image)],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
        )
    finally:
        os.close(writing)
    assert finished.returncode == 1
    assert finished.stderr == "The reader went away before the whole image was written.\n"


def test_a_full_disk_is_a_sentence_and_a_status(image: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        finished = subprocess.run(
            [sys.executable, str(_PROGRAM), str(image)],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
        )
    assert finished.returncode == 1
    assert finished.stderr == "The image was not written: No space left on device.\n"


def test_a_layer_that_was_collected_is_named(image: Path, store: Path) -> None:
    (gone,) = store.glob("*-two")
    gone.rename(store / "elsewhere")
    finished = subprocess.run(
        [sys.executable, str(_PROGRAM), str(image)],
        capture_output=True,
        check=False,
        text=True,
        errors="replace",
    )
    assert finished.returncode == 1
    assert finished.stderr == f"The image was not written: No such file or directory: {gone}/files.tar.\n"


def test_a_layer_is_read_in_any_amounts(image: Path, store: Path) -> None:
    (layer, *_) = stream.read(image)["layers"]
    with stream.open_layer(layer, store) as opened:
        whole = opened.read()
    with stream.open_layer(layer, store) as opened:
        pieces = b"".join(iter(lambda: opened.read(7), b""))
    assert pieces == whole
    assert len(whole) == layer["size"]


@pytest.mark.docker
def test_docker_takes_it_and_runs_what_is_in_it(image: Path) -> None:
    expected = stream.image_id(stream.read(image))
    try:
        subprocess.run(
            ["docker", "load"],
            input=_run(image, "--tag", "cog-nix-test-stream:1").stdout,
            capture_output=True,
            check=True,
        )
        shown = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Id}}", "cog-nix-test-stream:1"],
            capture_output=True,
            check=True,
            text=True,
        )
        assert shown.stdout.strip() == expected
    finally:
        subprocess.run(["docker", "rmi", "cog-nix-test-stream:1"], capture_output=True, check=False)


def test_a_layer_that_cannot_be_opened_fails_once(store: Path) -> None:
    """And not again when its stream is thrown away, which Python tells of in its development mode."""
    layer = {"name": "x", "diff_id": "", "size": 1, "parts": [{"path": "/elsewhere", "offset": 0, "size": 1}]}
    told = (
        f"import pathlib, sys; sys.path.insert(0, {str(_PROGRAM.parent)!r}); import stream\n"
        f"try:\n    stream.open_layer({layer!r}, pathlib.Path({str(store)!r}))\n"
        "except ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", told], capture_output=True, check=True, text=True
    )
    assert "elsewhere" in done.stdout
    assert done.stderr == ""
