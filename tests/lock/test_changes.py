"""What changed between two locks, in lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.lock.changes import changes
from cog_nix.lock.model import Artifact, Interpreter, Toolkit

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.lock.model import Deb, Lock, Wheel


def test_a_first_lock_is_a_summary(lock: Callable[..., Lock]) -> None:
    assert changes(None, lock()) == ["Locked 8 Debian packages and 3 Python packages"]


def test_the_same_lock_has_no_changes(lock: Callable[..., Lock]) -> None:
    assert changes(lock(), lock(inputs="sha256:other")) == []


def test_each_package_that_came_went_or_moved_has_a_line(
    lock: Callable[..., Lock], deb: Callable[..., Deb], wheel: Callable[..., Wheel]
) -> None:
    new = lock(
        base=(deb("bash", "1.0-2"), deb("libc6", "2.41-12")),
        system=(deb("git"),),
        wheels=(
            wheel("cog", "0.23.1"),
            wheel("flash-attn", "2.0"),
            wheel("numpy", "2.1"),
            wheel("scipy", "1.0"),
        ),
    )
    assert changes(lock(), new) == [
        "added    git 1.0-1",
        "added    scipy (Python) 1.0",
        "changed  bash 1.0-1 -> 1.0-2",
        "changed  numpy (Python) 2.0 -> 2.1",
        "removed  ffmpeg 7:7.1-1",
        "removed  libavcodec61 7:7.1-1",
    ]


def test_a_debian_and_a_python_package_of_one_name_are_told_apart(
    lock: Callable[..., Lock], deb: Callable[..., Deb], wheel: Callable[..., Wheel]
) -> None:
    former = lock(system=(deb("cowsay", "3.0-1"),), wheels=(wheel("cowsay", "6.0"),))
    new = lock(system=(deb("cowsay", "3.0-1"),), wheels=(wheel("cowsay", "6.1"),))
    assert changes(former, new) == ["changed  cowsay (Python) 6.0 -> 6.1"]


def test_a_package_that_only_changed_its_layer_is_no_change(
    lock: Callable[..., Lock], deb: Callable[..., Deb]
) -> None:
    assert changes(lock(), lock(base=(deb("bash"),), system=(*lock().system, deb("libc6", "2.41-12")))) == []


def test_an_interpreter_that_is_no_package_has_a_line(lock: Callable[..., Lock]) -> None:
    archive = Artifact("cpython.tar.gz", "https://mirror.example.org/cpython.tar.gz", "c0", 9)
    old, new = (
        lock(interpreter=Interpreter("standalone", version, "/usr/local/bin/python3.12", archive))
        for version in ("3.12.10", "3.12.11")
    )
    assert changes(old, new) == ["changed  python 3.12.10 -> 3.12.11"]


def test_the_compiler_for_gpus_has_lines_of_its_own(
    lock: Callable[..., Lock], deb: Callable[..., Deb], wheel: Callable[..., Wheel]
) -> None:
    old = Toolkit("CUDA 12.4", (), (wheel("numpy", "12.4.131"),))
    new = Toolkit("CUDA 13.0", (deb("libcuda1", "550"),), (wheel("numpy", "13.0.88"),))
    assert changes(None, lock(toolkit=old))[0].endswith("3 Python packages, and CUDA 12.4 for builds")
    assert changes(lock(toolkit=old), lock(toolkit=new)) == [
        "added    libcuda1 (CUDA 13.0 for builds) 550",
        "added    numpy (CUDA 13.0 for builds) 13.0.88",
        "removed  numpy (CUDA 12.4 for builds) 12.4.131",
    ]
