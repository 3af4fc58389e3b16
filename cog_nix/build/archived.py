"""What a lock is built from, into an archive and out of it."""

from __future__ import annotations

import base64
import functools
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.archive.model import Header
from cog_nix.build.offline import absent_files, absent_results
from cog_nix.errors import FlagError, LockError
from cog_nix.fetch.store import Store
from cog_nix.lock import format as lock_format
from cog_nix.lock.format import artifacts_of, built_from
from cog_nix.lock.model import Artifact
from cog_nix.resolve.ensure import Policy, ensure_lock
from cog_nix.resolve.request import Request
from cog_nix.run_commands.ensure import STORE_NAME
from cog_nix.store.paths import file_path, store_name, tree_path
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.archive.model import Archive
    from cog_nix.build.services import Services
    from cog_nix.config import Loaded
    from cog_nix.config.model import Config, Project, Settings
    from cog_nix.lock.model import Run
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
    """Everything that a build of the lock takes, each once: files, results of commands, programs."""
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
    locked = [*built_from(lock), *artifacts_of(lock.seed.debs, lock.seed.wheels)]
    wanted = {one.sha256: one for one in (*locked, *(programs.files if programs else ()))}
    damaged = frozenset[str]()
    if check:
        recorded = [_archived(run, number) for number, run in enumerate(lock.runs)]
        damaged = frozenset(archive.damaged([*wanted.values(), *recorded]))
    missing = [one for sha256, one in wanted.items() if sha256 in damaged or not archive.holds(sha256)]
    with ExitStack() as stack:
        folder = stack.enter_context(scratch.folder("results", _made(services.cache)))
        results = _dumped(lock.runs, archive, damaged, nix, folder)
        new = [*_located(missing, nix, context), *((one, path) for one, path in results if path)]
        written = archive.add(new, Header({"nix": programs.record} if programs else {}))
    files = (*wanted.values(), *(one for one, _ in results))
    lacking = tuple(f"the Nix package {one.reference}" for one in lock.packages)
    return Kept(files, frozenset(one.sha256 for one, _ in new), written, damaged, lacking)


def bring(project: Project, config: Config, archive: Archive, services: Services, nix: Nix) -> None:
    """Bring here what a lock is built from, as far as this machine lacks it; name what the archive lacks.

    Args:
        project: whose lock.
        config: names commands.
        archive: has the files.
        services: the cache takes them.
        nix: the store takes the results of commands.

    Raises:
        FlagError: there is no lock.
        LockError: it cannot be read.
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
    recorded = {number: run for number, run in enumerate(lock.runs) if number in absent}
    restored = _restored(recorded, archive, services.cache, nix) if recorded else set()
    lacking += [said for number, said in absent.items() if number not in restored]
    if lacking:
        shown = [*lacking[:_SHOWN], *([f"and {len(lacking) - _SHOWN} more"] if len(lacking) > _SHOWN else [])]
        lines = "\n".join(f"  {line}" for line in shown)
        services.reporter.warn(f"{archive.title} lacks, of what {project.lock_path.name} names:\n{lines}")


def _located(missing: Sequence[Artifact], nix: Nix, context: Context) -> list[tuple[Artifact, Path]]:
    """Return where files are: in the store, or among the downloads, where they come to be."""
    gone = {one.sha256 for one in nix.missing_artifacts(missing)} if missing else set()
    fetched = context.fetcher.artifacts([one for one in missing if one.sha256 in gone]) if gone else {}
    return [
        (one, fetched.get(one.sha256) or nix.real(file_path(one.sha256, store_name(one.filename))))
        for one in missing
    ]


def _archived(run: Run, number: int, size: int = 0) -> Artifact:
    """Return a result as archives have it: its Nix archive, by the hash that the lock has of that."""
    sha256 = base64.b64decode(run.nar_sha256.removeprefix("sha256-")).hex()
    return Artifact(f"{STORE_NAME}-{number}.nar", "", sha256, size)


def _dumped(
    runs: Sequence[Run], archive: Archive, damaged: Collection[str], nix: Nix, folder: Path
) -> list[tuple[Artifact, Path | None]]:
    """Write results of commands that an archive lacks to files; return them, and the others without."""
    found: list[tuple[Artifact, Path | None]] = []
    for number, run in enumerate(runs):
        one = _archived(run, number)
        if one.sha256 not in damaged and archive.holds(one.sha256):
            found.append((one, None))
            continue
        path = folder / one.filename
        nix.dump(tree_path(run.nar_sha256, STORE_NAME), path)
        found.append((_archived(run, number, path.stat().st_size), path))
    return found


def _restored(runs: Mapping[int, Run], archive: Archive, cache: Path, nix: Nix) -> set[int]:
    """Put those results of commands into the store that an archive has; return their numbers."""
    wanted = {number: _archived(run, number) for number, run in runs.items()}
    found = set()
    with scratch.folder("results", _made(cache)) as folder:
        store = Store(folder / "archives")
        came = archive.supply(list(wanted.values()), store)
        for number, one in wanted.items():
            if one.sha256 in came:
                tree = folder / str(number) / STORE_NAME
                tree.parent.mkdir()
                nix.restore(store.path(one.sha256), tree)
                nix.add_tree(tree)
                found.add(number)
    return found


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
