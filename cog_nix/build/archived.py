"""What a lock is built from, into an archive and out of it."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.archive import nars
from cog_nix.archive.model import Header
from cog_nix.archive.nars import Nar
from cog_nix.build import packaged
from cog_nix.build.offline import absent_files, absent_results
from cog_nix.errors import FlagError, LockError
from cog_nix.fetch.store import Store
from cog_nix.lock import format as lock_format
from cog_nix.lock.format import artifacts_of, built_from
from cog_nix.resolve.ensure import Policy, ensure_lock
from cog_nix.resolve.request import Request
from cog_nix.run_commands.ensure import STORE_NAME
from cog_nix.store.paths import file_path, store_name
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.archive.model import Archive
    from cog_nix.build.services import Services
    from cog_nix.config import Loaded
    from cog_nix.config.model import Config, Project, Settings
    from cog_nix.lock.model import Artifact, Run
    from cog_nix.plugins.spec import Context
    from cog_nix.store.nix import Nix

_SHOWN = 10


class ResultsNotHereError(LockError):
    """What commands left is not here, so that it cannot be archived.

    Args:
        said: names each.
    """

    def __init__(self, said: Iterable[str]) -> None:
        super().__init__(hint="Make it with:  cog-nix build")
        self.said = tuple(said)

    def __str__(self) -> str:
        return "\n".join(["This is not here to be kept:", *(f"  {line}" for line in self.said)])


@dataclass(frozen=True)
class Kept:
    """What an archive has of a project now."""

    files: tuple[Artifact, ...]
    """Everything that a build of the lock takes, each once: files, results of commands, programs,
    Nix packages and their sources."""
    added: frozenset[str]
    """Hashes of those that it did not have before, or had damaged."""
    written: int
    """Bytes that had to be written for these. A registry may have had them for others."""
    damaged: frozenset[str] = frozenset()
    """Hashes of those that were damaged, where that was looked for."""
    lacking: tuple[str, ...] = ()
    """What a build takes and no archive has."""

    @property
    def added_bytes(self) -> int:
        """Bytes that the archive has grown by, as good as."""
        return sum(one.size for one in self.files if one.sha256 in self.added)


def keep(
    project: Project,
    loaded: Loaded,
    settings: Settings,
    services: Services,
    archive: Archive,
    *,
    check: bool = False,
) -> Kept:
    """Make an archive hold everything that a project's lock is built from.

    Args:
        project: whose lock.
        loaded: cog.yaml.
        settings: cog-nix.toml.
        services: plugins, narration, cache.
        archive: grows by what it lacks.
        check: whether what it has is read, and what is damaged comes anew.

    Raises:
        LockError: there is no lock that fits.
        ResultsNotHereError: the result of a command is not here.
        FetchError: a file cannot be had, or the archive cannot be written.
    """
    nix = services.nix(project, settings)
    tools = functools.cache(lambda: services.tools(project, loaded, settings))
    resolver = services.resolver(tools)
    lock = ensure_lock(Request(project, loaded.config, settings), Policy(), services.plugins, resolver)
    if absent := absent_results(lock, loaded.config, nix):
        raise ResultsNotHereError(absent.values())
    context = services.context(settings, project, loaded.config.build.requirements)
    programs = services.plugins.describe_programs("nix", context)
    seeds = [file for seed in lock.all_seeds for file in artifacts_of(seed.debs, seed.wheels)]
    locked = [*built_from(lock), *seeds]
    wanted = {one.sha256: one for one in (*locked, *(programs.files if programs else ()))}
    packages = packaged.of_store(project, lock, nix, services.reporter)
    kept = [*(_result(run, number) for number, run in enumerate(lock.runs)), *packages.nars]
    damaged = frozenset[str]()
    if check:
        damaged = frozenset(archive.damaged([*wanted.values(), *(one.file for one in kept)]))
    missing = [one for sha256, one in wanted.items() if sha256 in damaged or not archive.holds(sha256)]
    header = packages.header | Header({"nix": programs.record} if programs else {})
    with ExitStack() as stack:
        folder = stack.enter_context(scratch.folder("results", _made(services.cache)))
        dumped = nars.dump(kept, archive, damaged, nix, folder)
        new = [*_located(missing, nix, context), *((one, path) for one, path in dumped if path)]
        written = archive.add(new, header)
    files = (*wanted.values(), *(one for one, _ in dumped))
    return Kept(files, frozenset(one.sha256 for one, _ in new), written, damaged, packages.lacking)


def bring(
    project: Project, config: Config, archive: Archive, services: Services, nix: Nix
) -> Mapping[str, str]:
    """Bring here what a lock is built from, as far as this machine lacks it; name what the archive lacks.

    Args:
        project: whose lock.
        config: names commands.
        archive: has the files.
        services: the cache takes them.
        nix: the store takes the results of commands, and Nix packages.

    Returns:
        References of flakes whose sources are here, by the lock's names.

    Raises:
        FlagError: there is no lock.
        LockError: it cannot be read.
        NixError: a Nix package cannot be evaluated.
        FetchError: the archive cannot be read.
        RegistryError: its registry refuses, or cannot be reached.
    """
    lock = lock_format.read(project.lock_path, project.platform)
    if lock is None:
        raise FlagError(
            "--from",
            f"an archive has what a lock names, and there is no {project.lock_path.name}",
            hint=f"Bring {project.lock_path.name} here: it belongs to the project's sources.",
        )
    wanted = absent_files(lock, nix, services.cache)
    came = archive.supply(wanted, Store(services.cache / "downloads" / "sha256")) if wanted else ()
    lacking = [one.filename for one in wanted if one.sha256 not in came]
    absent = absent_results(lock, config, nix)
    results = {number: _result(run, number) for number, run in enumerate(lock.runs) if number in absent}
    restored = nars.restore(list(results.values()), archive, services.cache, nix)
    here = {number for number, one in results.items() if one.path in restored}
    lacking += [said for number, said in absent.items() if number not in here]
    sources, others = packaged.to_store(project, lock, archive, services, nix)
    if lacking := [*lacking, *others]:
        shown = [*lacking[:_SHOWN], *([f"and {len(lacking) - _SHOWN} more"] if len(lacking) > _SHOWN else [])]
        lines = "\n".join(f"  {line}" for line in shown)
        services.reporter.warn(f"{archive.title} lacks, of what {project.lock_path.name} names:\n{lines}")
    return sources


def _located(missing: Sequence[Artifact], nix: Nix, context: Context) -> list[tuple[Artifact, Path]]:
    """Return where files are: in the store, or among the downloads, where they come to be."""
    gone = {one.sha256 for one in nix.missing_artifacts(missing)} if missing else set()
    fetched = context.fetcher.artifacts([one for one in missing if one.sha256 in gone]) if gone else {}
    return [
        (one, fetched.get(one.sha256) or nix.real(file_path(one.sha256, store_name(one.filename))))
        for one in missing
    ]


def _result(run: Run, number: int) -> Nar:
    """Return what a command left behind, by the hash that the lock has of it."""
    return Nar.of_tree(run.nar_sha256, STORE_NAME, f"{STORE_NAME}-{number}")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
