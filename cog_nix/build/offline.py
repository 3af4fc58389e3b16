"""``--offline``: is everything here that a build needs? Found out before anything begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.build.packaged import absent_flakes
from cog_nix.config import commands
from cog_nix.errors import FetchError, LockError
from cog_nix.fetch.store import Store
from cog_nix.lock import format as lock_format
from cog_nix.lock.format import artifacts_of, built_from
from cog_nix.lock.run_keys import fitting
from cog_nix.resolve import seed
from cog_nix.resolve.ensure import completed
from cog_nix.run_commands.ensure import STORE_NAME
from cog_nix.store.paths import tree_path
from cog_nix.system.platforms import BUILDER

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.build.services import Services
    from cog_nix.config.model import Config
    from cog_nix.lock.model import Artifact, Lock
    from cog_nix.resolve.ensure import Policy
    from cog_nix.resolve.request import Request
    from cog_nix.store.nix import Nix

_SHOWN = 10


class NoSeedError(LockError):
    """A lock was never built on a machine like this one, and the network may not be asked.

    Args:
        file: its name.
        platform: what this machine is.
    """

    def __init__(self, file: str, platform: str) -> None:
        super().__init__(hint="Run cog-nix build here once with the network: the lock then has it.")
        self.file, self.platform = file, platform

    def __str__(self) -> str:
        return f"--offline: {self.file} has no Python for builders on {self.platform}."


def check_offline(request: Request, policy: Policy, services: Services, nix: Nix) -> None:
    """Refuse a build that would need the network.

    Args:
        request: what is asked for, with cog-nix.toml as it is.
        policy: says whether the packages of Cog's base image come.
        services: the cache has the downloads.
        nix: the store.

    Raises:
        LockError: there is no lock that fits.
        FetchError: something that the lock names is neither in the store nor among the downloads.
    """
    project = request.project
    lock = lock_format.read(project.lock_path, project.platform)
    if lock is None or lock.inputs != completed(request, lock, services.plugins, policy).digest:
        state = "is missing" if lock is None else f"does not fit {project.config_path.name} any more"
        raise LockError(
            f"--offline: {project.lock_path.name} {state}, and resolving needs the network.",
            hint="Run cog-nix lock on a machine that has one, and copy the lock here.",
        )
    if not lock.seed.runs_here:
        raise NoSeedError(project.lock_path.name, BUILDER.name)
    missing = [one.filename for one in absent_files(lock, nix, services.cache)]
    missing += absent_results(lock, request.config, nix).values()
    if services.archive:  # otherwise Nix may have them in a cache of its own
        missing += absent_flakes(lock, nix).values()
    if missing:
        shown = [*missing[:_SHOWN], *([f"and {len(missing) - _SHOWN} more"] if len(missing) > _SHOWN else [])]
        lines = "\n".join(f"  {line}" for line in shown)
        raise FetchError(
            f"--offline: this machine lacks what {project.lock_path.name} names:\n{lines}",
            hint="Run cog-nix build once with the network; after that it does not need it.",
        )


def absent_files(lock: Lock, nix: Nix, cache: Path) -> list[Artifact]:
    """Return the files that a build needs and that are neither in the store nor downloaded, each once."""
    wanted = nix.missing_artifacts(list({one.sha256: one for one in built_from(lock)}.values()))
    if nix.invalid([tree_path(lock.seed.nar_sha256, seed.store_name(lock.seed.python))]):
        wanted += artifacts_of(lock.seed.debs, lock.seed.wheels)
    downloads = Store(cache / "downloads" / "sha256")
    absent = [artifact for artifact in wanted if downloads.held(artifact) is None]
    return list({artifact.sha256: artifact for artifact in absent}.values())


def absent_results(lock: Lock, config: Config, nix: Nix) -> dict[int, str]:
    """Return what to say of each command whose result is not here, by its number; or none was recorded."""
    recorded = fitting(lock, config, lock.runs)
    paths = [tree_path(run.nar_sha256, STORE_NAME) for run in recorded]
    gone = set(nix.invalid(paths)) if paths else set()
    return {
        number: f"the result of the command: {text}"
        for number, text in enumerate(commands.texts(config.build))
        if number >= len(recorded) or paths[number] in gone
    }
