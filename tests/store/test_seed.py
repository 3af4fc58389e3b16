"""The builders' Python: made once, kept for stores that lack it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from cog_nix.lock import seed
from cog_nix.lock.model import Seed
from cog_nix.store.paths import nar_hash, tree_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cog_nix.spec import Fetcher
    from cog_nix.store.nix import Nix


@dataclass
class _Store:
    """Takes trees as a store does."""

    added: list[str] = field(default_factory=list)

    def invalid(self, paths: Sequence[str]) -> list[str]:
        return [path for path in paths if path not in self.added]

    def python(self) -> str:
        return "python3"

    def add_tree(self, tree: Path) -> str:
        self.added.append(tree_path(nar_hash(tree), tree.name))
        return self.added[-1]


class _Fetcher:
    """Has nothing to fetch."""

    def artifacts(self, wanted: Sequence[Any]) -> dict[str, Path]:  # noqa: ARG002 - as the real one
        return {}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Unpack a tree of one file instead of a Python; return where that was done."""
    places: list[Path] = []

    def unpack(_start: str, _spec: Path, tree: Path) -> None:
        places.append(tree)
        tree.mkdir()
        (tree / "file").write_text("x")

    monkeypatch.setattr(seed, "_run_builder", unpack)
    return places


def _ensure(wanted: Seed, store: _Store, cache: Path) -> Seed:
    return seed.ensure(wanted, cast("Nix", store), cast("Fetcher", _Fetcher()), cache)


def _seed(tmp_path: Path) -> Seed:
    tree = tmp_path / "expected"
    tree.mkdir()
    (tree / "file").write_text("x")
    return Seed(python="3.13", debs=(), wheels=(), nar_sha256=nar_hash(tree))


def test_a_store_that_lacks_the_seed_gets_the_tree_that_was_kept(tmp_path: Path, made: list[Path]) -> None:
    wanted, cache, first, second = _seed(tmp_path), tmp_path / "cache", _Store(), _Store()
    assert _ensure(wanted, first, cache) == wanted
    assert _ensure(wanted, first, cache) == wanted
    assert _ensure(wanted, second, cache) == wanted
    assert first.added == second.added
    assert len(made) == 1
    assert not list(cache.glob(".cog-nix-*"))


def test_a_kept_tree_that_was_changed_is_made_anew(tmp_path: Path, made: list[Path]) -> None:
    wanted, cache = _seed(tmp_path), tmp_path / "cache"
    _ensure(wanted, _Store(), cache)
    (kept,) = (cache / "seeds").glob("*/*/file")
    kept.write_text("y")
    assert _ensure(wanted, _Store(), cache) == wanted
    assert len(made) == 2
    assert _ensure(wanted, _Store(), cache) == wanted
    assert len(made) == 2


def test_what_another_version_would_unpack_differently_gets_its_own_hash(
    tmp_path: Path, made: list[Path]
) -> None:
    right, cache, store = _seed(tmp_path), tmp_path / "cache", _Store()
    assert _ensure(replace(right, nar_sha256=nar_hash(tmp_path)), store, cache) == right
    assert _ensure(right, _Store(), cache) == right
    assert len(made) == 1


@pytest.mark.usefixtures("made")
def test_trees_that_nobody_asked_for_in_a_long_time_are_forgotten(tmp_path: Path) -> None:
    old = tmp_path / "cache/seeds/old"
    old.mkdir(parents=True)
    os.utime(old, (time.time() - 400 * 24 * 3600,) * 2)
    _ensure(_seed(tmp_path), _Store(), tmp_path / "cache")
    assert not old.exists()
