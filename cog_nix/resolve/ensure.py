"""The lock that a build goes by: the one that is there, or a new one when it may be made."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from cog_nix.config import commands
from cog_nix.errors import LockError, StaleLockError
from cog_nix.lock import format as lock_format
from cog_nix.lock import validity
from cog_nix.lock.integrity import EditedLockError
from cog_nix.lock.upgrade import INTERPRETER, Upgrade
from cog_nix.resolve import cog_base, inputs
from cog_nix.system.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.config.model import Config, Project, Settings
    from cog_nix.lock.model import Lock
    from cog_nix.resolve.stages import Resolver


@dataclass(frozen=True)
class Policy:
    """What may happen to a lock that is there."""

    update: bool = False
    """Resolve again when it does not fit any more; otherwise refuse."""
    upgrade: Upgrade = field(default_factory=Upgrade)
    cog_base: bool | None = None
    """Whether the packages of Cog's base image come; None: as cog-nix.toml or the lock says."""
    links: bool = False
    """Look again at what the project's own programs and libraries need, which nothing else tells of."""

    @property
    def looks(self) -> bool:
        """Whether a lock that answers all that is asked for may be made anew for what the source needs."""
        return self.links or self.update


def ensure_lock(
    project: Project, config: Config, settings: Settings, policy: Policy, resolver: Callable[[], Resolver]
) -> Lock:
    """Return the project's lock, made when there is none.

    Args:
        project: whose.
        config: what is asked for.
        settings: cog-nix.toml.
        policy: what may happen to a lock that is there.
        resolver: makes what resolves; called only when something has to be.

    Raises:
        StaleLockError: there is one for other inputs, and it may not be updated.
        LockError: the lock cannot be read, or resolving failed.
    """
    former = former_lock(project, policy.upgrade, update=policy.update)
    settings = cog_base.settled(settings, former, policy.cog_base)
    fresh = former is not None and former.inputs == inputs.digest(config, settings, project.root)
    looks = former is not None and policy.looks and _needs(project, config, settings, policy, former)
    anew = policy.upgrade.anything or looks
    if former and fresh and not anew and not (policy.update and _refuted(former)):
        validity.check_commands(former, commands.texts(config.build), project.lock_path.name)
        if policy.update:
            lock_format.renew(former, project.lock_path)
        return former
    if former and not policy.update and not policy.upgrade.anything:
        raise _stale(project, former, policy, settings)
    check_upgrade_names(former, policy.upgrade)
    lock = resolver().resolve(project, config, settings, former, policy.upgrade)
    lock_format.write(lock, project.lock_path)
    return lock


def _stale(project: Project, former: Lock, policy: Policy, settings: Settings) -> StaleLockError:
    """Return the error for a lock that was made for something else."""
    flag, reason = "", "what is asked for has changed."
    if former.cog_base != settings.debian.cog_base:
        reason = f"it was made {'with' if former.cog_base else 'without'} the packages of Cog's base image."
    if policy.cog_base is not None:
        flag = f" {cog_base.FLAG}{'' if policy.cog_base else '=false'}"
    return StaleLockError(
        f"{project.lock_path.name} does not fit {project.config_path.name} any more: {reason}",
        hint=f"To resolve what changed and keep every other pin:  cog-nix build --update-lock{flag}\n"
        f"To move pins as well:  cog-nix lock --upgrade{flag} [NAME]",
    )


def _refuted(former: Lock) -> bool:
    """Tell whether wheels turned out to be other than the lock was made by."""
    from cog_nix.resolve.wheel_facts import is_refuted  # noqa: PLC0415 - only where it may be made anew

    return is_refuted(former, cache_dir())


def _needs(project: Project, config: Config, settings: Settings, policy: Policy, former: Lock) -> bool:
    """Tell whether what the project's source needs may be something else than what was locked.

    That is so where it links to libraries, or did, and where it starts other programs.
    """
    from cog_nix.resolve import libraries, programs  # noqa: PLC0415 - only where it is asked

    if settings.debian.programs:
        names = programs.names(programs.starts(project.root, config, settings))
        if names != (former.programs or ()):
            return True
    return policy.links and (libraries.project_linked(former) or libraries.project_links(project.root))


def former_lock(project: Project, upgrade: Upgrade, *, update: bool = False) -> Lock | None:
    """Return the lock so far; one that cannot be read is as good as none when all of it is made anew.

    Args:
        project: whose.
        upgrade: pins that may move.
        update: whether what does not fit may be made anew: then an edit of what follows from the pins does
            not count, and the lock is one that answers nothing.

    Raises:
        LockError: it cannot be read, and pins of it are to be kept.
    """
    try:
        return lock_format.read(project.lock_path)
    except LockError as error:
        if upgrade.everything:
            return None
        if update and isinstance(error, EditedLockError) and error.trusted:
            return error.trusted
        raise


def check_upgrade_names(former: Lock | None, upgrade: Upgrade) -> None:
    """Refuse names that the lock does not hold.

    Raises:
        LockError: with the closest names.
    """
    if former is None:
        return
    known = {deb.package for deb in former.debs} | {wheel.name for wheel in former.wheels}
    known |= {package.reference for package in former.packages}
    if former.interpreter.artifact:
        known.add(INTERPRETER)
    for name in sorted(upgrade.names - known):
        close = ", ".join(get_close_matches(name, known))
        raise LockError(f"{name} is not in the lock.", hint=f"Did you mean {close}?" if close else "")


def sdk_version(lock: Lock) -> str:
    """Return the version of the Cog SDK in the image.

    Raises:
        LockError: the lock has none.
    """
    for wheel in lock.wheels:
        if wheel.name == "cog":
            return wheel.version
    raise LockError("The lock holds no cog.", hint="Write it anew with:  cog-nix lock --upgrade")
