"""What containers mount: folders of hard links, or single files where there can be no links."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cog_nix.system.digests import digest_of
from cog_nix.weights.model import LockedFile, LockedWeight
from cog_nix.weights.mounts import MissingWeightsError, mounted
from cog_nix.weights.store import WeightsStore

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"a.bin": b"1", "folder/b.bin": b"2", "folder/again.bin": b"1"}
WEIGHT = LockedWeight(
    "unet",
    "/src/unet",
    "",
    (),
    files=tuple(LockedFile(path, 1, digest_of(content), "") for path, content in FILES.items()),
)


@pytest.fixture
def store(tmp_path: Path) -> WeightsStore:
    """Return a store that has all files."""
    found = WeightsStore(tmp_path / "store")
    for content in FILES.values():
        found.put(digest_of(content), 1, [content])
    return found


def test_a_folder_of_links(store: WeightsStore) -> None:
    with mounted([WEIGHT], store) as mounts:
        ((folder, target),) = mounts
        assert target == "/src/unet"
        assert {path: (folder / path).read_bytes() for path in FILES} == FILES
        for path, content in FILES.items():
            assert (folder / path).samefile(store.path(digest_of(content))), "nothing is copied"
        assert folder.stat().st_mode & 0o777 == 0o755, "whoever the container runs as"
    assert not folder.exists()
    assert all(store.held(digest_of(content), 1) for content in FILES.values())


def test_without_links_each_file_is_mounted(store: WeightsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with mounted([WEIGHT], store) as mounts:
        assert {target: source.read_bytes() for source, target in mounts} == {
            f"/src/unet/{path}": content for path, content in FILES.items()
        }
    assert not list((store.root / "mounts").iterdir())


def test_what_is_missing_is_said_and_nothing_is_made(store: WeightsStore) -> None:
    store.path(digest_of(b"1")).unlink()
    with pytest.raises(MissingWeightsError) as caught, mounted([WEIGHT], store):
        pytest.fail("it was mounted")
    assert caught.value.shown() == (
        'weight "unet" is not fully cached locally (missing a.bin and 1 more)\n\nRun `cog-nix weights pull`.'
    )
    assert not (store.root / "mounts").exists()


def test_no_weights_take_no_folder(tmp_path: Path) -> None:
    with mounted([], WeightsStore(tmp_path / "none")) as mounts:
        assert mounts == ()
    assert not (tmp_path / "none").exists()
