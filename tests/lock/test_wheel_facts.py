"""Where facts of wheels come from, and that a build notices those that were not the wheel's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import Settings
from cog_nix.elf import table
from cog_nix.elf.facts import Depth, Facts, Known, read_facts
from cog_nix.elf.scan import DynamicFile, Scan
from cog_nix.elf.wheel import OnDisk
from cog_nix.errors import LockError
from cog_nix.lock.model import Artifact, Lock, Source, Wheel
from cog_nix.lock.seals import front
from cog_nix.plugins.spec import Context
from cog_nix.report import SilentReporter
from cog_nix.resolve import wheel_facts
from cog_nix.resolve.wheel_facts import WheelFacts, seals
from tests.elf.made import make_elf, make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_LIE = Facts(Scan((DynamicFile("a/a.so", ("libother.so.1",)),), ("a/a.so",)))


@dataclass
class _Fetcher:
    """Has whole wheels, and parts of those that it is told of."""

    paths: dict[str, Path] = field(default_factory=dict)
    parts: dict[str, Facts] = field(default_factory=dict)
    whole: list[str] = field(default_factory=list)

    def in_parts(self, wanted: Sequence[Artifact], read: object) -> dict[str, Any]:
        assert callable(read)
        return {one.sha256: self.parts[one.filename] for one in wanted if one.filename in self.parts}

    def artifacts(self, wanted: Sequence[Artifact]) -> dict[str, Path]:
        self.whole += [one.filename for one in wanted]
        return {one.sha256: self.paths[one.sha256] for one in wanted}

    def take(self, url: str) -> tuple[str, int]:
        raise AssertionError(url)

    def text(self, url: str, *, max_age: float = 0) -> bytes:
        raise AssertionError(url, max_age)

    def forget(self, url: str) -> None:
        raise AssertionError(url)


@dataclass
class _House:
    folder: Path
    fetcher: _Fetcher = field(default_factory=_Fetcher)

    @property
    def context(self) -> Context:
        return Context(Settings(), self.fetcher, SilentReporter(), self.folder / "cache")

    @property
    def facts(self) -> WheelFacts:
        """Return what a new process would know."""
        return WheelFacts(self.context)

    def wheel(self, name: str, *needed: str, depends: tuple[str, ...] = ()) -> Wheel:
        path = make_wheel(self.folder / f"{name}-1.0-py3-none-any.whl", {f"{name}/a.so": make_elf(*needed)})
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self.fetcher.paths[sha256] = path
        return Wheel(name, "1.0", Artifact(path.name, f"https://x/{path.name}", sha256, 1), depends)

    def locate(self, artifact: Artifact) -> Path | None:
        return self.fetcher.paths.get(artifact.sha256)

    def check(self, lock: Lock) -> None:
        wheel_facts.check(lock, "cog-nix.lock", self.context.cache_dir, self.locate)


@pytest.fixture
def house(tmp_path: Path) -> _House:
    return _House(tmp_path)


def test_what_is_known_is_not_fetched_again(house: _House) -> None:
    wheel = house.wheel("a", "libGL.so.1")
    first = house.facts(wheel, Depth.LINKS)
    assert [one.needed for one in first.scan.files] == [("libGL.so.1",)]
    assert house.facts(wheel, Depth.LINKS) == first
    assert house.fetcher.whole == [wheel.artifact.filename]
    house.facts(wheel, Depth.TEXT)
    assert len(house.fetcher.whole) == 2, "more has to be read than before"


def test_parts_will_do(house: _House) -> None:
    one, other = house.wheel("a", "libGL.so.1"), house.wheel("b", "libz.so.1")
    house.fetcher.parts["a-1.0-py3-none-any.whl"] = _LIE
    facts = house.facts
    facts.learn([one, other], {"a": Depth.LINKS, "b": Depth.LINKS})
    assert facts(one, Depth.LINKS) == house.facts(one, Depth.LINKS) == _LIE
    assert house.fetcher.whole == [other.artifact.filename]


def test_the_table_is_asked_before_the_server(house: _House, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = house.wheel("a", "libGL.so.1")
    made = house.folder / "wheels.zip"
    table.write(made, {"a": {wheel.artifact.sha256: Known.of(_LIE, Depth.LINKS)}})
    monkeypatch.setattr(table, "FILE", made)
    assert house.facts(wheel, Depth.LINKS) == _LIE
    assert house.fetcher.whole == []
    assert house.facts(replace(wheel, name="b"), Depth.LINKS) != _LIE


def test_a_gpu_makes_what_is_opened_count(house: _House) -> None:
    wheels = [
        house.wheel("nvidia-cublas"),
        house.wheel("torch", depends=("nvidia-cublas",)),
        house.wheel("a"),
        Wheel("built", "1.0", Artifact("b.tar.gz", "", "b", 1), source=Source("sdist")),
    ]
    found = seals(wheels, house.facts, gpu=True)
    assert [(name, seal.partition("-")[0]) for name, seal in found] == [
        ("nvidia-cublas", "files"),
        ("torch", "links"),
        ("a", "text"),
    ]
    assert [seal.partition("-")[0] for _, seal in seals(wheels, house.facts, gpu=False)][-1] == "links"


def _sealed(house: _House, lock: Callable[..., Lock], wheel: Wheel) -> Lock:
    return lock(wheels=(wheel,), facts=seals([wheel], house.facts, gpu=False))


def test_a_lock_by_the_wheels_themselves_passes(house: _House, lock: Callable[..., Lock]) -> None:
    made = _sealed(house, lock, house.wheel("a", "libGL.so.1"))
    house.check(made)
    house.fetcher.paths.clear()
    house.check(made)


def test_parts_that_lied_are_noticed_once_the_file_is_here(house: _House, lock: Callable[..., Lock]) -> None:
    wheel = house.wheel("a", "libGL.so.1")
    house.fetcher.parts[wheel.artifact.filename] = _LIE
    made = _sealed(house, lock, wheel)
    assert not wheel_facts.is_refuted(made, house.context.cache_dir)
    with pytest.raises(LockError, match=r"^cog-nix.lock was made by something else .*: a\.") as error:
        house.check(made)
    assert "cog-nix lock" in error.value.hint
    assert wheel_facts.is_refuted(made, house.context.cache_dir)
    again = _sealed(house, lock, wheel)
    whole = read_facts(OnDisk(house.fetcher.paths[wheel.artifact.sha256]), Depth.LINKS)
    assert house.facts(wheel, Depth.LINKS) == whole
    house.check(again)


def test_a_lock_of_another_version_or_without_facts_passes(house: _House, lock: Callable[..., Lock]) -> None:
    wheel = house.wheel("a", "libGL.so.1")
    house.check(lock(wheels=(wheel,), facts=()))
    house.check(lock(wheels=(wheel,), facts=(("a", "links-999-" + "0" * 32),)))


def test_the_front_of_a_package_is_compared_as_well(house: _House, lock: Callable[..., Lock]) -> None:
    deb = lock().base[0]
    made = lock(facts=((f"deb:{deb.package}", front(b"front")),))
    house.check(made)
    path = house.folder / "x.deb"
    house.fetcher.paths[deb.artifact.sha256] = path
    path.write_bytes(b"front and more")
    house.check(made)
    path.write_bytes(b"other and more")
    with pytest.raises(LockError, match=rf"hold: {deb.package}\."):
        house.check(made)
    assert wheel_facts.is_refuted(made, house.context.cache_dir)


def test_what_differs_has_another_seal() -> None:
    one = Facts(Scan(libraries=("a.so",)), requires=("numpy",))
    others = [
        replace(one, requires=()),
        replace(one, scan=Scan(libraries=("b.so",))),
        replace(one, scan=Scan(libraries=("a.so",), sonames=("c",))),
        replace(one, scan=replace(one.scan, files=(DynamicFile("a.so", ("x",)),))),
    ]
    assert len({facts.seal(Depth.LINKS) for facts in (one, *others)}) == 5
    assert len({one.seal(depth) for depth in Depth}) == 3
