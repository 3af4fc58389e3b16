"""Unpacking: once for each layer, whole or not at all, and only what the image names."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import ImageError
from cog_nix.report import SilentReporter
from cog_nix_hooks.bundle.images import ImageStore
from cog_nix_hooks.bundle.layers import LayerStore
from cog_nix_hooks.bundle.programs import Programs
from tests.hooks.docker.conftest import Store, layer_tar

if TYPE_CHECKING:
    from pathlib import Path

QUIET = SilentReporter()


def unpack(layers: LayerStore, files: dict[str, bytes]) -> str:
    tar = layer_tar(files)
    digest = f"sha256:{hashlib.sha256(tar).hexdigest()}"
    assert layers.unpack(io.BytesIO(tar), {digest}, lambda _count: None) == digest
    return digest


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_layer_becomes_a_folder_that_only_its_owner_reaches(tmp_path: Path) -> None:
    layers = LayerStore(tmp_path / "store", Programs())
    digest = unpack(layers, {"etc/a": b"a", "dev/null": b""})
    folder = layers.folder(digest)
    assert (folder / "etc/a").read_bytes() == b"a"
    assert stat.S_IMODE((folder / "etc/a").stat().st_mode) == 0o755
    assert not (folder / "dev/null").exists()
    assert stat.S_IMODE(layers.root.stat().st_mode) == 0o700


def test_whiteouts_become_those_of_overlayfs(tmp_path: Path) -> None:
    layers = LayerStore(tmp_path, Programs())
    folder = layers.folder(unpack(layers, {"etc/.wh.gone": b"", "opt/.wh..wh..opq": b"", "opt/new": b""}))
    gone = (folder / "etc/gone").stat()
    assert (stat.S_ISCHR(gone.st_mode), gone.st_rdev) == (True, 0)
    assert os.getxattr(folder / "opt", "user.overlay.opaque") == b"y"
    assert names(folder / "opt") == ["new"]


@pytest.mark.parametrize(
    "cut",
    [pytest.param(lambda tar: tar[:700], id="cut"), pytest.param(lambda _tar: b"x" * 2048, id="no-tar")],
)
def test_what_is_no_layer_leaves_nothing(tmp_path: Path, cut: object) -> None:
    assert callable(cut)
    layers = LayerStore(tmp_path, Programs())
    content = cut(layer_tar({"a": b"a" * 4096}))
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    with pytest.raises(ImageError, match="cannot be unpacked"):
        layers.unpack(io.BytesIO(content), {digest}, lambda _count: None)
    assert names(tmp_path / "layers") == []


def test_a_layer_that_the_image_does_not_name_is_refused(tmp_path: Path) -> None:
    layers = LayerStore(tmp_path, Programs())
    with pytest.raises(ImageError, match="does not name"):
        layers.unpack(io.BytesIO(layer_tar({"a": b""})), {"sha256:0"}, lambda _count: None)
    assert names(tmp_path / "layers") == []


def test_an_interrupted_unpacking_leaves_nothing_and_the_next_one_carries_on(tmp_path: Path) -> None:
    image = Store(tmp_path / "made").build({"a": b"1"}, {"b": b"2"})
    images = ImageStore(tmp_path / "bundle")

    class Interrupting(SilentReporter):
        def bytes_bar(self, text: str, total: int | None) -> Any:
            raise KeyboardInterrupt(text, total)

    with pytest.raises(KeyboardInterrupt):
        images.load(image.program, ["one"], Interrupting())
    assert images.find("one") is None
    assert images.load(image.program, ["one"], QUIET) == image.id
    found = images.find("one")
    assert found is not None
    assert found.diff_ids == tuple(image.diff_ids)


def test_images_share_layers(tmp_path: Path) -> None:
    made = Store(tmp_path / "made")
    first, second = (made.build({"base": b"b" * 9999}, {"src": text}) for text in (b"1", b"2"))
    images = ImageStore(tmp_path / "bundle")
    images.load(first.program, ["one"], QUIET)
    images.load(second.program, ["two:tag"], QUIET)
    assert second.calls == [["--skip", first.diff_ids[0]]]
    assert len(names(tmp_path / "bundle/layers")) == 3
    assert images.find("one:latest") == images.find(first.id)
    images.load(second.program, ["two:tag"], QUIET)
    assert len(second.calls) == 1, "nothing was missing"


def test_what_no_name_holds_any_more_is_removed(tmp_path: Path) -> None:
    made = Store(tmp_path / "made")
    first, second = (made.build({"base": b"b"}, {"src": text}) for text in (b"1", b"2"))
    images = ImageStore(tmp_path / "bundle")
    images.load(first.program, ["one"], QUIET)
    (tmp_path / "bundle/layers/.unpack-of-a-killed-process").mkdir()
    images.load(second.program, ["one"], QUIET)
    assert images.find(first.id) is None
    assert names(tmp_path / "bundle/layers") == sorted(one[7:] for one in second.diff_ids)


def test_a_layer_removed_by_hand_comes_back(tmp_path: Path) -> None:
    image = Store(tmp_path / "made").build({"a": b"1"})
    images = ImageStore(tmp_path / "bundle")
    images.load(image.program, ["one"], QUIET)
    images.layers.folder(image.diff_ids[0]).rename(tmp_path / "away")
    assert images.find("one") is None
    images.load(image.program, ["one"], QUIET)
    assert images.find("one") is not None


def test_a_program_that_fails_half_way_is_quoted(tmp_path: Path) -> None:
    image = Store(tmp_path / "made").build({"a": b"1"})
    (image.program.parent / "fail").touch()
    with pytest.raises(ImageError, match="the disk is gone"):
        ImageStore(tmp_path / "bundle").load(image.program, ["one"], QUIET)
