"""The seed on the host: unpack it, know its hash, put it into the store."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from cog_nix import scratch
from cog_nix.errors import LockError
from cog_nix.lock.format import artifacts_of
from cog_nix.lock.model import Seed
from cog_nix.namespaces import attempt
from cog_nix.nixfiles import nix_library
from cog_nix.processes import ProcessError, run
from cog_nix.runs import sandbox
from cog_nix.store.paths import nar_hash, tree_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Deb, Wheel
    from cog_nix.spec import Fetcher
    from cog_nix.store.nix import Nix

SUITE = "trixie"
PYTHON = "3.13"
PACKAGES = (f"python{PYTHON}-minimal", f"libpython{PYTHON}-stdlib")
REQUIREMENTS = ("installer", "pyyaml", "deflate", "isal")
_UNUSED = ("debconf", "gcc-14-base", "media-types", "netbase", "readline-common", "tzdata", "mime-support")
"""Dependencies that bring no library or Python module."""
_KEEP_SECONDS = 90 * 24 * 3600


def store_name(python: str) -> str:
    """Return the name of the seed's store path; the same rule as ``nix/seed.nix``."""
    return f"cog-nix-seed-{python}"


def used(debs: Sequence[Deb]) -> tuple[Deb, ...]:
    """Return the packages that the seed takes files from."""
    return tuple(deb for deb in debs if deb.package not in _UNUSED)


@contextmanager
def unpacked(
    python: str, debs: Sequence[Path], wheels: Sequence[Path], cache_dir: Path, nix: Nix | None
) -> Iterator[Path]:
    """Yield the seed's tree in a folder that is gone afterwards.

    Args:
        python: minor version.
        debs: downloaded packages.
        wheels: downloaded wheels.
        cache_dir: where to make the folder.
        nix: it is made where this one's programs run; None: here.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    with scratch.folder("seed", cache_dir) as folder:
        tree = folder / store_name(python)
        spec = folder / "spec.json"
        paths = {"debs": [*map(str, debs)], "wheels": [*map(str, wheels)]}
        # A Nix runs in a container where namespaces are forbidden here.
        confined = "" if nix is None and attempt() else str(sandbox.__file__)
        spec.write_text(json.dumps({"python": python, **paths, "sandbox": confined}))
        _run_builder(nix.python() if nix else sys.executable, spec, tree)
        yield tree


def _run_builder(start: str, spec: Path, tree: Path) -> None:
    try:
        run([start, "-B", nix_library() / "builders/seed.py", spec, tree])
    except ProcessError as error:
        if os.strerror(errno.ENOSPC) not in error.message:
            raise
        raise LockError(
            f"The disk is full: {tree.parent} has no room for the builders' Python (40 MB).",
            hint="Free some space, or name another folder in COG_NIX_CACHE_DIR, and run this again.",
        ) from error


def make(
    debs: Sequence[Deb], wheels: Sequence[Wheel], files: Mapping[str, Path], cache_dir: Path, nix: Nix | None
) -> Seed:
    """Describe the seed that these packages make; put it into the store on the way when there is one.

    Args:
        debs: the seed's packages.
        wheels: the seed's wheels.
        files: downloaded files by sha256.
        cache_dir: where the tree is unpacked and kept.
        nix: the store to put it into; None: only describe it.
    """
    chosen = used(debs)
    paths = (
        [files[deb.artifact.sha256] for deb in chosen],
        [files[wheel.artifact.sha256] for wheel in wheels],
    )
    with unpacked(PYTHON, *paths, cache_dir, nix) as tree:
        sri = nar_hash(tree)
        if nix:
            nix.add_tree(tree)
        _keep(tree, _kept(cache_dir, sri, PYTHON))
    return Seed(python=PYTHON, debs=chosen, wheels=tuple(wheels), nar_sha256=sri)


def ensure(seed: Seed, nix: Nix, fetcher: Fetcher, cache_dir: Path) -> Seed:
    """Put the locked seed into the store unless it is there.

    Returns:
        The seed as this cog-nix unpacks it: the same packages, and another hash than the lock's when another
        version of cog-nix wrote that, which unpacked them in another way.
    """
    store_path = tree_path(seed.nar_sha256, store_name(seed.python))
    if not nix.invalid([store_path]):
        return seed
    kept = _kept(cache_dir, seed.nar_sha256, seed.python)
    if kept.is_dir() and nix.add_tree(kept) == store_path:
        kept.parent.touch()
        return seed
    files = fetcher.artifacts(artifacts_of(seed.debs, seed.wheels))
    debs = [files[deb.artifact.sha256] for deb in seed.debs]
    wheels = [files[wheel.artifact.sha256] for wheel in seed.wheels]
    with unpacked(seed.python, debs, wheels, cache_dir, nix) as tree:
        found = seed if nix.add_tree(tree) == store_path else replace(seed, nar_sha256=nar_hash(tree))
        _keep(tree, _kept(cache_dir, found.nar_sha256, found.python))
    return found


def _kept(cache_dir: Path, sri: str, python: str) -> Path:
    """Return where a tree is kept for stores that have not got it, or not any more."""
    return cache_dir / "seeds" / hashlib.sha256(sri.encode()).hexdigest() / store_name(python)


def _keep(tree: Path, kept: Path) -> None:
    """Move a tree to where it is kept; forget those that no store has asked for in a long time."""
    seeds = kept.parent.parent
    with suppress(OSError):
        shutil.rmtree(kept.parent, ignore_errors=True)  # whatever is there is not what it should be
        seeds.mkdir(parents=True, exist_ok=True)
        tree.parent.rename(kept.parent)
        for old in seeds.iterdir():
            if time.time() - old.stat().st_mtime > _KEEP_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
