"""The seed on the host: unpack it, know its hash, put it into the store."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.lock import format as lock_format
from cog_nix.lock.format import artifacts_of
from cog_nix.lock.model import Seed
from cog_nix.lock.pins import Pins
from cog_nix.lock.upgrade import Upgrade
from cog_nix.lock.validity import SRI
from cog_nix.namespaces import attempt, sandbox
from cog_nix.plugins.spec import PythonRequest, SystemRequest
from cog_nix.resolve.foundation import version_of
from cog_nix.store.library import nix_library
from cog_nix.store.paths import nar_hash, tree_path
from cog_nix.system import scratch
from cog_nix.system.files import write_atomically
from cog_nix.system.platforms import BUILDER
from cog_nix.system.processes import ProcessError, end, run, start_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Lock
    from cog_nix.plugins.spec import Fetcher
    from cog_nix.resolve.request import Tools
    from cog_nix.store.nix import Nix
    from cog_nix.system.child import Process

REQUIREMENTS = ("installer", "pyyaml", "deflate", "isal", "backports.zstd; python_version < '3.14'")
_KEEP_SECONDS = 90 * 24 * 3600


def store_name(python: str) -> str:
    """Return the name of the seed's store path; the same rule as ``nix/seed.nix``."""
    return f"cog-nix-seed-{python}"


@contextmanager
def in_background(pins: Pins, tools: Tools) -> Iterator[Callable[[], tuple[Seed, ...]]]:
    """Resolve the builders' Python, and begin to make it; yield what waits for it.

    What waits returns this machine's first, and then those of other machines that are kept.

    Args:
        pins: the previous lock's seeds stay unless everything moves; where this machine has none, its own
            takes their versions, as far as they are there.
        tools: resolve it.

    Raises:
        LockError: a package cannot be found.
        PluginError: no plugin says which packages the builders' Python is made of.
    """
    kept = pins.seeds
    if kept and kept[0].runs_here:
        yield lambda: kept
        return
    tools.reporter.step("Resolving the builders' Python")
    context = replace(tools.context, platform=BUILDER)
    facts = tools.plugins.describe_seed()
    pinned = kept[:1]
    asked = SystemRequest(
        facts.suite,
        (("seed", facts.packages),),
        pins={deb.package: deb.version for seed in pinned for deb in seed.debs},
    )
    system = tools.plugins.resolve_system_packages(asked, context)
    request = PythonRequest(
        python_version=version_of(facts.packages[0], system),
        requirements=REQUIREMENTS,
        pins={wheel.name: wheel.version for seed in pinned for wheel in seed.wheels},
        asked_in="cog-nix's own tools",
    )
    wheels = tools.plugins.resolve_python_packages(request, context).wheels
    debs = tuple(deb for deb in system.groups["seed"] if deb.package not in facts.unused)
    wanted = Seed(
        facts.python,
        debs,
        tuple(wheels),
        nar_sha256="",
        found_in=tuple(system.indexes),
        platform="" if BUILDER.is_usual else BUILDER.name,
    )
    with begun(wanted, context.fetcher, context.cache_dir, tools.nix) as made:
        yield lambda: (made(), *kept)


def with_own(lock: Lock, path: Path, tools: Callable[[], Tools]) -> Lock:
    """Return a lock that has the builders' Python for this machine; written to its file where it had none.

    What an image is made of stays: another machine with this processor takes the same from now on.

    Args:
        lock: as it is.
        path: its file.
        tools: resolve and make it.

    Raises:
        LockError: it cannot be had, or the disk is full.
    """
    if lock.seed.runs_here:
        return lock
    with in_background(Pins(lock, Upgrade()), tools()) as made:
        own, *others = made()
    lock = replace(lock, seed=own, seeds=tuple(others))
    lock_format.write(lock, path)
    return lock


@contextmanager
def begun(wanted: Seed, fetcher: Fetcher, cache_dir: Path, nix: Nix | None) -> Iterator[Callable[[], Seed]]:
    """Begin to make the seed of these packages; yield a function that waits for it and describes it.

    That puts it into the store when there is one. What came of the same packages before is remembered.

    Args:
        wanted: the seed's packages and wheels; its hash is not known yet.
        fetcher: downloads what is not there.
        cache_dir: where the tree is unpacked and kept.
        nix: the store to put it into; None: only describe it.

    Raises:
        LockError: the disk is full.
        ProcessError: the packages make no seed.
    """
    remembered = cache_dir / "seed-hashes" / _recipe(wanted)
    known = replace(wanted, nar_sha256=_read(remembered))
    if known.nar_sha256 and (nix is None or _is_there(known, nix, cache_dir)):
        yield lambda: known
        return
    with _unpacking(wanted, fetcher, cache_dir, nix) as (tree, finish):

        def finished() -> Seed:
            finish()
            found = replace(wanted, nar_sha256=nar_hash(tree))
            if nix:
                nix.adopt_tree(tree, found.nar_sha256)
            _keep(tree, _kept(cache_dir, found))
            write_atomically(remembered, found.nar_sha256.encode())
            return found

        yield finished


def _recipe(wanted: Seed) -> str:
    """Return a digest of all that decides a seed's content: packages, and the programs that unpack them."""
    digest = hashlib.sha256(wanted.python.encode())
    for artifact in artifacts_of(wanted.debs, wanted.wheels):
        digest.update(artifact.sha256.encode())
    for module in sorted((nix_library() / "builders").glob("*.py")):
        digest.update(hashlib.sha256(module.read_bytes()).digest())
    return digest.hexdigest()


def _read(remembered: Path) -> str:
    """Return the hash that was written down, "" where none was."""
    try:
        text = remembered.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
    return text if SRI.fullmatch(text) else ""


def _is_there(wanted: Seed, nix: Nix, cache_dir: Path) -> bool:
    """Whether a store has the seed, or has it now from where it is kept."""
    store_path = tree_path(wanted.nar_sha256, store_name(wanted.python))
    if not nix.invalid([store_path]):
        return True
    kept = _kept(cache_dir, wanted)
    if kept.is_dir() and nix.adopt_tree(kept, wanted.nar_sha256):
        kept.parent.touch()
        return True
    return False


@contextmanager
def _unpacking(
    wanted: Seed, fetcher: Fetcher, cache_dir: Path, nix: Nix | None
) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Begin to unpack a seed's packages; yield where the tree comes to be, and what waits until it is there.

    It is made where this Nix's programs run; here without one. The folder is gone afterwards.
    """
    files = fetcher.artifacts(artifacts_of(wanted.debs, wanted.wheels))
    cache_dir.mkdir(parents=True, exist_ok=True)
    with scratch.folder("seed", cache_dir) as folder:
        tree = folder / store_name(wanted.python)
        spec = folder / "spec.json"
        told = {
            "python": wanted.python,
            "debs": [str(files[deb.artifact.sha256]) for deb in wanted.debs],
            "wheels": [str(files[wheel.artifact.sha256]) for wheel in wanted.wheels],
            # A Nix runs in a container where namespaces are forbidden here.
            "sandbox": "" if nix is None and attempt() else str(sandbox.__file__),
        }
        spec.write_text(json.dumps(told))
        start = nix.python() if nix else sys.executable
        command = [start, "-B", str(nix_library() / "builders/seed.py"), str(spec), str(tree)]
        with start_process(command) as process:
            try:
                yield tree, lambda: _finish(process, command, tree)
            finally:
                end(process)


def _finish(process: Process, command: Sequence[str], tree: Path) -> None:
    try:
        run(command, started=process)
    except ProcessError as error:
        if not error.finished.disk_full:
            raise
        raise LockError(
            f"The disk is full: {tree.parent} has no room for the builders' Python (40 MB).",
            hint="Free some space, or name another folder in COG_NIX_CACHE_DIR, and run this again.",
        ) from error


def ensure(seed: Seed, nix: Nix, fetcher: Fetcher, cache_dir: Path) -> Seed:
    """Put the locked seed into the store unless it is there.

    Returns:
        The seed as this cog-nix unpacks it: the same packages, and another hash than the lock's when another
        version of cog-nix wrote that, which unpacked them in another way.
    """
    if _is_there(seed, nix, cache_dir):
        return seed
    with _unpacking(seed, fetcher, cache_dir, nix) as (tree, finish):
        finish()
        found = replace(seed, nar_sha256=nar_hash(tree))
        nix.adopt_tree(tree, found.nar_sha256)
        _keep(tree, _kept(cache_dir, found))
    return found


def _kept(cache_dir: Path, seed: Seed) -> Path:
    """Return where a tree is kept for stores that have not got it, or not any more."""
    name = hashlib.sha256(seed.nar_sha256.encode()).hexdigest()
    return cache_dir / "seeds" / name / store_name(seed.python)


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
