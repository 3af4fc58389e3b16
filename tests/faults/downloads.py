"""Locks a project while the Debian mirror misbehaves, and again when it has come to its senses."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cog_nix_hooks.debian.settings import DebianSettings
from cog_nix_hooks.debian.sources import MIRROR_VARIABLE, SECURITY_VARIABLE, find_archive
from tests.faults.mirror import Fault, Mirror

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.world import World

INDEX, PACKAGE = "InRelease", ".deb"
_DROPPED = 3
"""So many packages have to be fetched anew."""


@contextmanager
def mirrored(world: World) -> Iterator[Mirror]:
    """Let a world's commands go to a mirror of the archive that this machine uses."""
    archive = find_archive(DebianSettings(), os.environ)
    with Mirror({"debian": archive.main, "security": archive.security}) as mirror:
        world.extra[MIRROR_VARIABLE] = mirror.url("debian")
        world.extra[SECURITY_VARIABLE] = mirror.url("security")
        yield mirror


def lock_text(world: World) -> str:
    return (world.project / "cog-nix.lock").read_text()


def disturb(world: World, mirror: Mirror, fault: Fault, suffix: str, times: int) -> list[str]:
    """Lock with a fault, then without; return what is wrong with that.

    Args:
        world: whose project is locked.
        mirror: of its archive.
        fault: what the mirror does.
        suffix: to which answers.
        times: how often; so few that another try overcomes it, or far more.
    """
    expected = lock_text(world)
    _forget(world, expected)
    mirror.misbehave(fault, suffix, times)
    finished = world.run("lock", timeout=240)
    problems = []
    if not mirror.answers:
        problems.append("nobody asked")
    if "Traceback" in finished.stderr:
        problems.append(f"a traceback: {finished.stderr[-1500:]}")
    if finished.returncode not in {0, 1}:
        problems.append(f"status {finished.returncode}: {finished.stderr[-1500:]}")
    if finished.returncode and mirror.url("").rstrip("/") not in finished.stderr:
        problems.append(f"the mirror is not named: {finished.stderr[-800:]}")
    if finished.returncode and finished.stderr.rstrip().endswith(":"):
        problems.append(f"nothing to do next: {finished.stderr[-800:]}")
    if times == 1 and finished.returncode and fault not in {"missing", "forbidden", "flipped", "portal"}:
        problems.append(f"it was not tried again: {finished.stderr[-800:]}")
    if finished.returncode and (world.project / "cog-nix.lock").exists():
        problems.append("a lock was written")
    mirror.misbehave(None)
    (world.project / "cog-nix.lock").unlink(missing_ok=True)
    again = world.run("lock")
    if again.returncode:
        problems.append(f"the next run fails: {again.stderr[-1500:]}")
        (world.project / "cog-nix.lock").write_text(expected)
    elif lock_text(world) != expected:
        problems.append("the next run writes another lock")
    where = f"{fault} {suffix} {times} times"
    return [f"{where}: {one}" for one in [*problems, *world.left(), *world.files_left()]]


def _forget(world: World, lock: str) -> None:
    """Remove what has to come from the mirror: the indexes' signatures, and some packages of the seed."""
    assert world.cache is not None
    shutil.rmtree(world.cache / "seed-hashes", ignore_errors=True)
    downloads = world.cache / "downloads"
    shutil.rmtree(downloads / "texts", ignore_errors=True)
    for deb in json.loads(lock)["seed"]["debs"][:_DROPPED]:
        sha256 = deb["artifact"]["sha256"]
        (downloads / "sha256" / sha256[:2] / sha256).unlink(missing_ok=True)
    (world.project / "cog-nix.lock").unlink()
