"""The store of files: where it is, and that it holds nothing but what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cog_nix.errors import CogNixError
from cog_nix.system.digests import digest_of
from cog_nix.weights.store import OtherContentError, WeightsStore, default_store


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"COG_CACHE_DIR": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c/weights"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/cog/weights"),
        ({"HOME": "/h"}, "/h/.cache/cog/weights"),
    ],
    ids=["named", "xdg", "home"],
)
def test_it_is_where_upstream_has_it(environ: dict[str, str], root: str) -> None:
    assert default_store(environ).root == Path(root)


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(CogNixError, match="no home folder") as caught:
        default_store({})
    assert "COG_CACHE_DIR" in caught.value.hint


def test_files_are_found_by_their_digest(tmp_path: Path) -> None:
    store, digest = WeightsStore(tmp_path), digest_of(b"abc")
    assert store.held(digest, 3) is None
    path = store.put(digest, 3, [b"a", b"bc"])
    assert path == tmp_path / "files/sha256" / digest[7:9] / digest[7:]
    assert (path.read_bytes(), store.held(digest, 3), store.held(digest, 4)) == (b"abc", path, None)


@pytest.mark.parametrize("content", [b"abd", b"ab", b"abcd"])
def test_what_is_another_file_is_not_kept(tmp_path: Path, content: bytes) -> None:
    store, digest = WeightsStore(tmp_path), digest_of(b"abc")
    with pytest.raises(OtherContentError, match=f"expected {digest}, 3 bytes; got {digest_of(content)}"):
        store.put(digest, 3, [content])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("digest", ["", "sha256:", f"sha256:{'A' * 64}", f"sha256:../{'a' * 61}", "md5:1"])
def test_what_is_not_a_digest_leads_nowhere(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ValueError, match="is not a sha256 digest"):
        WeightsStore(tmp_path).path(digest)
