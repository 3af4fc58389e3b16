"""The builders' Python: made once, kept for stores that lack it."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from cog_nix.lock import format as lock_format
from cog_nix.lock.model import Seed
from cog_nix.plugins.spec import PythonResolution, SeedFacts, SystemResolution
from cog_nix.resolve import seed
from cog_nix.store.paths import nar_hash, tree_path
from cog_nix.system import scratch
from cog_nix.system.platforms import AMD64, ARM64, BUILDER
from tests.lock.conftest import make_deb, make_lock, make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Lock
    from cog_nix.plugins.spec import Context, Fetcher, PythonRequest, SystemRequest
    from cog_nix.resolve.request import Tools
    from cog_nix.store.nix import Nix


@dataclass
class _Store:
    """Takes trees as a store does."""

    added: list[str] = field(default_factory=list)

    def invalid(self, paths: Sequence[str]) -> list[str]:
        return [path for path in paths if path not in self.added]

    def adopt_tree(self, tree: Path, sri: str) -> bool:
        found = nar_hash(tree)
        self.added.append(tree_path(found, tree.name))
        return found == sri


class _Fetcher:
    """Has nothing to fetch."""

    def artifacts(self, wanted: Sequence[Any]) -> dict[str, Path]:  # noqa: ARG002 - as the real one
        return {}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Unpack a tree of one file instead of a Python; return where that was done."""
    places: list[Path] = []

    @contextmanager
    def unpacking(
        wanted: Seed, _fetcher: Fetcher, cache_dir: Path, _nix: Nix | None
    ) -> Iterator[tuple[Path, Callable[[], None]]]:
        cache_dir.mkdir(exist_ok=True)
        with scratch.folder("seed", cache_dir) as folder:
            tree = folder / seed.store_name(wanted.python)
            places.append(tree)
            tree.mkdir()

            def finish() -> None:
                (tree / "file").write_text("x")

            yield tree, finish

    monkeypatch.setattr(seed, "_unpacking", unpacking)
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


def _begin(store: _Store | None, cache: Path) -> Seed:
    with seed.begun(
        Seed("3.13", (), (), ""), cast("Fetcher", _Fetcher()), cache, cast("Nix", store)
    ) as described:
        return described()


def test_what_came_of_the_same_packages_is_remembered(tmp_path: Path, made: list[Path]) -> None:
    cache, first, second = tmp_path / "cache", _Store(), _Store()
    wanted = _begin(first, cache)
    assert wanted.nar_sha256 == _seed(tmp_path).nar_sha256
    assert _begin(first, cache) == _begin(None, cache) == _begin(second, cache) == wanted
    assert first.added == second.added
    assert len(made) == 1


def test_a_seed_is_made_anew_where_another_version_unpacks_it(
    tmp_path: Path, made: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _begin(None, tmp_path / "cache")
    builder = tmp_path / "nix/builders/seed.py"
    builder.parent.mkdir(parents=True)
    builder.write_text("other")
    monkeypatch.setattr(seed, "nix_library", lambda: tmp_path / "nix")
    _begin(None, tmp_path / "cache")
    assert len(made) == 2


@pytest.mark.parametrize("damage", ["", "sha256-", "\u00e4", "sha256-" + 43 * "A" + "=\n"])
def test_a_hash_that_is_none_is_not_remembered(tmp_path: Path, made: list[Path], damage: str) -> None:
    cache = tmp_path / "cache"
    wanted = _begin(None, cache)
    (remembered,) = (cache / "seed-hashes").iterdir()
    remembered.write_text(damage)
    assert _begin(None, cache) == wanted
    assert len(made) == 2


def test_a_kept_tree_that_was_lost_is_made_anew_for_a_store_without_it(
    tmp_path: Path, made: list[Path]
) -> None:
    cache, store = tmp_path / "cache", _Store()
    wanted = _begin(None, cache)
    shutil.rmtree(cache / "seeds")
    assert _begin(store, cache) == wanted
    assert len(made) == 2
    assert len(store.added) == 1


def test_what_was_begun_ends_with_whoever_wanted_it(tmp_path: Path) -> None:
    asleep = tmp_path / "nix/builders/seed.py"
    asleep.parent.mkdir(parents=True)
    asleep.write_text("import time\ntime.sleep(100)\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seed, "nix_library", lambda: tmp_path / "nix")
        began = time.monotonic()
        with (
            pytest.raises(KeyError),
            seed.begun(Seed("3.13", (), (), ""), cast("Fetcher", _Fetcher()), tmp_path, None),
        ):
            raise KeyError
    assert time.monotonic() - began < 50
    assert not list(tmp_path.glob(".cog-nix-*"))


_OTHERS = "" if BUILDER == ARM64 else "linux/arm64"
"""A processor that this machine does not have, as a seed names it."""
_OWN = "" if BUILDER == AMD64 else BUILDER.name


class _Plugins:
    """Resolve a seed of one package and one wheel, and remember what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[SystemRequest | PythonRequest, Context]] = []

    def describe_seed(self) -> SeedFacts:
        return SeedFacts("trixie", "3.13", ("python3.13-minimal", "perl"), frozenset({"perl"}))

    def resolve_system_packages(self, request: SystemRequest, context: Context) -> SystemResolution:
        self.asked.append((request, context))
        debs = (make_deb("python3.13-minimal", "3.13.5-2"), make_deb("perl"))
        return SystemResolution({"seed": debs}, (), versions={"python3.13-minimal": "3.13.5"})

    def resolve_python_packages(self, request: PythonRequest, context: Context) -> PythonResolution:
        self.asked.append((request, context))
        return PythonResolution((make_wheel("installer"),))


@dataclass(frozen=True)
class _Context:
    fetcher: _Fetcher
    cache_dir: Path
    platform: object = None


@dataclass
class _Reporter:
    steps: list[str] = field(default_factory=list)

    def step(self, text: str) -> None:
        self.steps.append(text)


@dataclass
class _Tools:
    context: _Context
    plugins: _Plugins = field(default_factory=_Plugins)
    reporter: _Reporter = field(default_factory=_Reporter)
    nix: _Store = field(default_factory=_Store)


def _foreign_lock(path: Path) -> Lock:
    """Write a lock that machines with another processor built; return it."""
    lock = make_lock(seed=replace(make_lock().seed, platform=_OTHERS))
    lock_format.write(lock, path)
    return lock


@pytest.mark.usefixtures("made")
def test_a_lock_from_another_kind_of_machine_gets_a_seed_for_this_one(tmp_path: Path) -> None:
    path, tools = tmp_path / "cog-nix.lock", _Tools(_Context(_Fetcher(), tmp_path / "cache"))
    before = _foreign_lock(path)
    found = seed.with_own(before, path, lambda: cast("Tools", tools))
    assert (found.seed.platform, found.seeds) == (_OWN, (before.seed,))
    assert [deb.package for deb in found.seed.debs] == ["python3.13-minimal"]
    assert found.seed.nar_sha256 == _seed(tmp_path).nar_sha256
    assert replace(found, seed=before.seed, seeds=()) == before, "what the image is made of stays"
    assert lock_format.read(path, None) == found
    system, python = tools.plugins.asked
    assert {context.platform for _, context in (system, python)} == {BUILDER}
    assert system[0].pins == {"libc6": "2.41-12"}, "versions are the other seed's as far as they are there"
    assert python[0].pins == {"installer": "1.0"}


def test_a_lock_that_has_a_seed_for_this_machine_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "cog-nix.lock"
    other = replace(make_lock().seed, platform=_OTHERS)
    lock = make_lock(seed=replace(other, platform=_OWN), seeds=(other,))
    lock_format.write(lock, path)
    before = path.stat()
    assert seed.with_own(lock, path, lambda: pytest.fail("nothing is resolved")) is lock
    assert path.stat() == before
