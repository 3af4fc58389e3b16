"""Locks of several platforms in one file."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.lock import format as lock_format
from cog_nix.lock import model as lock_model
from cog_nix.lock.format import NoPlatformError, NotALockError
from cog_nix.lock.integrity import EditedLockError
from cog_nix.lock.pins import Pins
from cog_nix.lock.upgrade import Upgrade
from cog_nix.lock.validity import InvalidLockError
from cog_nix.system.platforms import AMD64, ARM64

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.lock.model import Lock
    from cog_nix.system.platforms import Platform


@pytest.fixture
def locks(lock: Callable[..., Lock]) -> tuple[Lock, Lock]:
    """A lock for linux/amd64, and one for linux/arm64."""
    return lock(), lock(platform="linux/arm64", suite="bookworm")


def test_a_lock_that_names_no_platform_is_for_amd64(lock: Callable[..., Lock]) -> None:
    text = lock_format.dump(lock())
    assert '"platform' not in text
    assert lock_format.load(text, "l", AMD64) == lock() == lock_format.load(text, "l")
    assert lock_format.platforms_of(text, "l") == (AMD64,)
    with pytest.raises(NoPlatformError) as caught:
        lock_format.load(text, "cog-nix.lock", ARM64)
    assert caught.value.shown() == (
        "cog-nix.lock is for linux/amd64, and not for linux/arm64.\n\n"
        "Lock that as well:  cog-nix lock --platform linux/arm64"
    )


def test_each_is_written_without_touching_the_other(tmp_path: Path, locks: tuple[Lock, Lock]) -> None:
    path, (amd, arm) = tmp_path / "cog-nix.lock", locks
    for one in (arm, amd, arm):
        lock_format.write(one, path)
    assert (lock_format.read(path, AMD64), lock_format.read(path, ARM64)) == (amd, arm)
    assert lock_format.locked_platforms(path) == (AMD64, ARM64)
    newer = replace(arm, suite="sid")
    lock_format.write(newer, path)
    assert (lock_format.read(path, AMD64), lock_format.read(path, ARM64)) == (amd, newer)
    lock_format.forget(ARM64, path)
    assert path.read_text() == lock_format.dump(amd)
    lock_format.forget(AMD64, path)  # the only one stays
    assert path.read_text() == lock_format.dump(amd)


def test_amd64_comes_first_and_reads_as_it_does_alone(locks: tuple[Lock, Lock]) -> None:
    amd, arm = locks
    text = lock_format.dump(arm, [amd])
    assert text == lock_format.dump(amd, [arm])
    both, alone = json.loads(text), json.loads(lock_format.dump(amd))
    differing = {key for key in both if both.get(key) != alone.get(key)}
    assert differing == {"platforms", "integrity"}
    assert all(line.startswith((" ", "{", "}")) for line in text.splitlines())


def test_a_lock_for_another_platform_alone(locks: tuple[Lock, Lock], tmp_path: Path) -> None:
    path = tmp_path / "cog-nix.lock"
    lock_format.write(locks[1], path)
    assert lock_format.read(path, AMD64) is None
    assert lock_format.read(path, ARM64) == locks[1] == lock_format.read(path, None)


def test_an_edit_in_either_is_noticed(locks: tuple[Lock, Lock]) -> None:
    data = json.loads(lock_format.dump(*locks[:1], locks[1:]))
    data["platforms"]["linux/arm64"]["suite"] = "sid"
    for platform in (AMD64, ARM64):
        with pytest.raises(EditedLockError, match="platforms changed by hand"):
            lock_format.load(json.dumps(data), "l", platform)


@pytest.mark.parametrize(
    ("others", "problem"),
    [
        ([], "platforms is not a table of locks"),
        ({"linux/arm64": []}, "platforms is not a table of locks"),
        ({"linux/sparc": {}}, "there is no platform 'linux/sparc'"),
        ({"linux/amd64": {"platform": "linux/amd64"}}, "linux/amd64 appears twice"),
        ({"linux/arm64": {"platform": "linux/amd64"}}, "says that it is for another platform"),
    ],
)
def test_what_is_no_table_of_locks(lock: Callable[..., Lock], others: object, problem: str) -> None:
    data = {**json.loads(lock_format.dump(lock())), "platforms": others}
    with pytest.raises(NotALockError, match=problem):
        lock_format.load(json.dumps(data), "l", AMD64)


def test_versions_of_another_platform_are_kept(locks: tuple[Lock, Lock]) -> None:
    """But neither its interpreter's archive nor why packages came."""
    amd, arm = locks
    pins = Pins(None, Upgrade(), amd)
    assert pins.debs == {deb.package: deb.version for deb in amd.debs}
    assert pins.wheels == {wheel.name: wheel.version for wheel in amd.wheels}
    assert (pins.seeds, pins.interpreter, pins.told) == ((amd.seed,), None, {})
    assert Pins(arm, Upgrade(), amd).seeds == (arm.seed,)
    assert Pins(None, Upgrade(everything=True), amd).debs == {}


def test_a_lock_of_one_kind_of_machine_says_nothing_of_others(lock: Callable[..., Lock]) -> None:
    assert '"seeds"' not in lock_format.dump(lock())
    assert lock_format.load(lock_format.dump(lock()), "l").all_seeds == (lock().seed,)


@pytest.mark.parametrize("builder", [AMD64, ARM64], ids=str)
def test_whichever_machine_writes_the_file_is_the_same_and_each_reads_its_own_seed(
    lock: Callable[..., Lock], monkeypatch: pytest.MonkeyPatch, builder: Platform
) -> None:
    amd = lock().seed
    arm = replace(amd, python="3.14", platform="linux/arm64")
    text = lock_format.dump(lock(seed=amd, seeds=(arm,)))
    assert lock_format.dump(lock(seed=arm, seeds=(amd,))) == text
    assert all(line.startswith((" ", "{", "}")) for line in text.splitlines())
    monkeypatch.setattr(lock_model, "BUILDER", builder)
    found = lock_format.load(text, "l")
    own, other = (amd, arm) if builder == AMD64 else (arm, amd)
    assert (found.seed, found.seeds) == (own, (other,))
    assert found.seed.runs_here
    assert lock_format.dump(found) == text


def test_pins_are_the_seeds_of_all_machines(lock: Callable[..., Lock]) -> None:
    other = replace(lock().seed, platform="linux/arm64")
    both = lock(seeds=(other,))
    assert Pins(both, Upgrade()).seeds == (both.seed, other)
    assert Pins(both, Upgrade(everything=True)).seeds == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"platform": "linux/sparc"}, r"seeds\[0\]\.platform"),
        ({"platform": ""}, r"seeds: '' is there 2 times"),
        ({"nar_sha256": "sha256-x"}, r"seeds\[0\]\.nar_sha256"),
        ({"python": "three"}, r"seeds\[0\]\.python"),
    ],
    ids=["platform", "twice", "hash", "python"],
)
def test_what_no_seed_may_say(
    lock: Callable[..., Lock], tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    path = tmp_path / "cog-nix.lock"
    other = replace(lock().seed, platform="linux/arm64")
    path.write_text(lock_format.dump(lock(seeds=(replace(other, **change),))))
    with pytest.raises(InvalidLockError, match=problem):
        lock_format.read(path, AMD64)
