"""The image that Nix runs in: unpacked packages as an OCI layout, the same from the same files."""

from __future__ import annotations

import hashlib
import json
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import archive
import builder_image
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _info(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.mtime, info.uid = kind, mode, target, 1_700_000_000, 5
    return info


@pytest.fixture
def spec(make_deb: Callable[..., Path], tmp_path: Path) -> dict[str, Any]:
    """Return what an image is made of: two packages that share a folder, a wheel, a folder."""
    first = make_deb(
        (_info("./usr/", tarfile.DIRTYPE, 0o755), b""),
        (_info("./bin/tool", mode=0o4755), b"tool"),
        (_info("./bin/link", tarfile.SYMTYPE, 0o777, "tool"), b""),
        (_info("./bin/hard", tarfile.LNKTYPE, 0o755, "./bin/tool"), b""),
        (_info("./usr/share/doc/tool/README"), b"left out"),
        (_info("./usr/share/ca-certificates/mozilla/B.crt"), b"second\n"),
        name="first.deb",
    )
    second = make_deb(
        (_info("./usr/", tarfile.DIRTYPE, 0o700), b""),
        (_info("./usr/share/ca-certificates/mozilla/A.crt"), b"first\n"),
        name="second.deb",
    )
    wheel = tmp_path / "some-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as members:
        members.writestr("some/__init__.py", "")
        members.writestr("some-1.data/scripts/some", "#!python")
        members.writestr("some-1.data/headers/some.h", "")
    folder = tmp_path / "own"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/run").write_text("run")
    (folder / "bin/run").chmod(0o700)
    (folder / "bin/again").symlink_to("run")
    return {
        "packages": [str(first), str(second)],
        "wheels": [str(wheel)],
        "folders": [[str(folder), "usr/local"]],
        "config": {"Env": ["A=b"]},
    }


def _blob(layout: Path, digest: str) -> Path:
    path = layout / "blobs" / digest.replace(":", "/")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    return path


def _layers(layout: Path) -> list[dict[str, tarfile.TarInfo]]:
    [pointer] = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(_blob(layout, pointer["digest"]).read_text())
    config = json.loads(_blob(layout, manifest["config"]["digest"]).read_text())
    digests = [one["digest"] for one in manifest["layers"]]
    assert config["rootfs"]["diff_ids"] == digests
    assert config["config"] == {"Env": ["A=b"]}
    found = []
    for digest in digests:
        with tarfile.open(_blob(layout, digest)) as tar:
            members = tar.getmembers()
            assert len({one.name for one in members}) == len(members), "a path stands in a layer once"
            assert {(one.mtime, one.uid, one.gid) for one in members} == {(archive.MTIME, 0, 0)}
            found.append({one.name: one for one in members})
    return found


def test_packages_are_unpacked_once_and_without_their_special_bits(
    spec: dict[str, Any], tmp_path: Path
) -> None:
    builder_image.make(spec, tmp_path / "layout")
    base, *_ = _layers(tmp_path / "layout")
    assert (base["usr/bin/tool"].mode, base["usr/bin/hard"].linkname) == (0o755, "usr/bin/tool")
    assert base["usr/bin/link"].linkname == "tool"
    assert base["usr"].mode == 0o755, "the first package's"
    assert base["tmp"].mode == 0o1777
    assert "usr/share/doc/tool/README" not in base


def test_certificates_are_one_bundle_in_their_order(spec: dict[str, Any], tmp_path: Path) -> None:
    builder_image.make(spec, tmp_path / "layout")
    blobs = tmp_path / "layout/blobs/sha256"
    name = "etc/ssl/certs/ca-certificates.crt"
    for path in blobs.iterdir():
        if path.stat().st_size > 10_000:
            with tarfile.open(path) as tar:
                if name in tar.getnames():
                    bundle = tar.extractfile(name)
                    assert bundle
                    assert bundle.read() == b"first\nsecond\n"
                    return
    pytest.fail("there is none")


def test_wheels_and_folders_go_where_debians_python_looks(spec: dict[str, Any], tmp_path: Path) -> None:
    builder_image.make(spec, tmp_path / "layout")
    _, wheels, own = _layers(tmp_path / "layout")
    assert [name for name, one in wheels.items() if one.isreg()] == [
        "usr/local/bin/some",
        f"{builder_image.SITE}/some/__init__.py",
    ]
    assert wheels["usr/local/bin/some"].mode == 0o755
    assert (own["usr/local/bin/run"].mode, own["usr/local/bin/again"].linkname) == (0o755, "run")


def test_the_same_files_make_the_same_image(spec: dict[str, Any], tmp_path: Path) -> None:
    builder_image.make(spec, tmp_path / "one")
    builder_image.make(spec, tmp_path / "two")
    assert (tmp_path / "one/index.json").read_bytes() == (tmp_path / "two/index.json").read_bytes()
