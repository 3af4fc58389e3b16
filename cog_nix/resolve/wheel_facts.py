"""Where the facts of a lock's wheels come from, and how a build sees that they are the wheels' own.

What is known of a wheel is known by its sha256: it was read before, on this machine, or when cog-nix was made
(:mod:`cog_nix.elf.table`). Otherwise parts of the file are looked at on its server, or it is fetched. Nobody
vouches for parts, so the lock says by a digest what it went by, and a build, which has the whole files,
compares. See docs/design/wheel-facts.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.elf import table
from cog_nix.elf.facts import Depth, Facts, Known, Memory, read_facts, sealed_depth
from cog_nix.elf.parts import read_parts
from cog_nix.elf.wheel import OnDisk, machine_of
from cog_nix.errors import LockError
from cog_nix.lock.seals import PACKAGE
from cog_nix.lock.seals import fits as front_fits
from cog_nix.resolve.needs import depths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Artifact, Lock, Wheel
    from cog_nix.plugins.spec import Context, GpuLibraries
    from cog_nix.resolve.needs import Read


class WheelFacts:
    """What wheels say of themselves: a :data:`cog_nix.resolve.needs.Read`.

    Args:
        context: for what is not known yet.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._memory = memory(context.cache_dir)
        self._known: dict[str, Known] = {}

    def __call__(self, wheel: Wheel, depth: Depth) -> Facts:
        """Return the facts of one.

        Raises:
            LockError: the wheel cannot be read.
            FetchError: it cannot be fetched.
        """
        if (found := self._recall(wheel, depth)) is None:
            self.learn([wheel], {wheel.name: depth})
            found = self._known[wheel.artifact.sha256].at(depth)
        assert found is not None  # noqa: S101 - for the type checker
        return found

    def learn(self, wheels: Iterable[Wheel], depths: Mapping[str, Depth]) -> None:
        """Read what is not known yet, all at once.

        Args:
            wheels: which; those that are built from source are left out.
            depths: how much of each, by name.

        Raises:
            LockError: a wheel cannot be read.
            FetchError: one cannot be fetched.
        """
        deep = {
            wheel.artifact.sha256: depths[wheel.name]
            for wheel in wheels
            if wheel.source is None and self._recall(wheel, depths[wheel.name]) is None
        }
        artifacts = list(
            {w.artifact.sha256: w.artifact for w in wheels if w.artifact.sha256 in deep}.values()
        )
        if not artifacts:
            return
        fetcher = self._context.fetcher
        came = fetcher.in_parts(artifacts, lambda artifact, parts: read_parts(parts, deep[artifact.sha256]))
        files = fetcher.artifacts([artifact for artifact in artifacts if artifact.sha256 not in came])
        for sha256, facts in came.items():
            self._keep(sha256, Known.of(facts, deep[sha256]))
        names = {artifact.sha256: artifact.filename for artifact in artifacts}
        for sha256, path in files.items():
            facts = read_facts(OnDisk(path, machine_of(names[sha256])), deep[sha256])
            self._keep(sha256, Known.of(facts, deep[sha256], whole=True))

    def _recall(self, wheel: Wheel, depth: Depth) -> Facts | None:
        sha256 = wheel.artifact.sha256
        known = self._known.get(sha256)
        if known and (found := known.at(depth)):
            return found
        for known in (self._memory.recall(sha256), table.known(wheel.name, sha256)):
            if known and (found := known.at(depth)):
                self._known[sha256] = known
                return found
        return None

    def _keep(self, sha256: str, known: Known) -> None:
        self._memory.remember(sha256, known)
        self._known[sha256] = known


def memory(cache_dir: Path) -> Memory:
    """Return what this machine knows of wheels."""
    return Memory(cache_dir / "elf")


def seals(
    wheels: Sequence[Wheel], read: Read, own: GpuLibraries, *, gpu: bool
) -> tuple[tuple[str, str], ...]:
    """Return by what facts of wheels a lock goes, as ``(wheel, seal)`` in their order.

    Args:
        wheels: all of the image's.
        read: tells what is in one.
        own: the libraries of GPUs' makers.
        gpu: whether the project asks for one.
    """
    deep = depths(wheels, own, gpu=gpu)
    return tuple(
        (wheel.name, read(wheel, deep[wheel.name]).seal(deep[wheel.name]))
        for wheel in wheels
        if wheel.name in deep
    )


def check(lock: Lock, name: str, cache_dir: Path, locate: Callable[[Artifact], Path | None]) -> None:
    """See that files are what a lock was made by, now that all of them are here.

    Args:
        lock: the lock.
        name: of its file, for messages.
        cache_dir: where it is remembered which were looked into.
        locate: returns a file whose hash was right, or None where it is not here.

    Raises:
        LockError: a file is another one than the lock was made by, or cannot be read.
    """
    known = memory(cache_dir)
    wheels = {wheel.name: wheel for wheel in lock.wheels}
    debs = {f"{PACKAGE}{deb.package}": deb for deb in lock.installed}
    wrong = []
    for owner, seal in lock.facts:
        if owner in wheels:
            fits = _fits(known, wheels[owner].artifact, seal, locate)
        else:
            path = locate(debs[owner].artifact) if owner in debs else None
            fits = path is None or front_fits(path, seal)
        if not fits:
            known.refute(_refutation(owner, seal))
            wrong.append(owner.removeprefix(PACKAGE))
    if wrong:
        raise LockError(
            f"{name} was made by something else than what these files hold: {', '.join(wrong)}. Parts of them"
            " were read on their server, and what came was not of the files.",
            hint="Make it again from the files themselves, with every pin kept:  cog-nix lock\n"
            "If it happens again, do not trust the index or mirror that they come from.",
        )


def _fits(known: Memory, artifact: Artifact, seal: str, locate: Callable[[Artifact], Path | None]) -> bool:
    """Tell whether a wheel's facts are those of a seal; one of another version of cog-nix says nothing."""
    depth = sealed_depth(seal)
    if depth is None:
        return True
    found = _whole(known, artifact.sha256, depth)
    if found is None and (path := locate(artifact)):
        found = read_facts(OnDisk(path, machine_of(artifact.filename)), depth)
        known.remember(artifact.sha256, Known.of(found, depth, whole=True))
    return found is None or found.seal(depth) == seal


def is_refuted(lock: Lock, cache_dir: Path) -> bool:
    """Tell whether files were found to be other than a lock was made by."""
    known = memory(cache_dir)
    return any(known.is_refuted(_refutation(owner, seal)) for owner, seal in lock.facts)


def _refutation(owner: str, seal: str) -> str:
    return f"{owner} {seal}"


def _whole(known: Memory, sha256: str, depth: Depth) -> Facts | None:
    """Return what was read from a whole file."""
    found = known.recall(sha256)
    return found.at(depth) if found and found.whole else None
