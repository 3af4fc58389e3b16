"""The lock that a build goes by: the one that is there, or a new one when it may be made."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from cog_nix.config import commands
from cog_nix.errors import LockError, NotLockedError, StaleLockError
from cog_nix.lock import format as lock_format
from cog_nix.lock import validity
from cog_nix.lock.integrity import EditedLockError
from cog_nix.lock.reasons import Verb
from cog_nix.lock.upgrade import BUILDERS, INTERPRETER, Upgrade
from cog_nix.resolve import cog_base
from cog_nix.system.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.config.model import Project
    from cog_nix.lock.model import Lock
    from cog_nix.plugins.manager import Plugins
    from cog_nix.resolve.request import Request


@dataclass(frozen=True)
class Policy:
    """What may happen to a lock that is there."""

    update: bool = False
    """Resolve again when it does not fit any more; otherwise refuse."""
    upgrade: Upgrade = field(default_factory=Upgrade)
    cog_base: bool | None = None
    """Whether the packages of Cog's base image come; None: as cog-nix.toml or the lock says."""
    look_at_project: bool = False
    """Look again at what the project's own programs and libraries need, which nothing else tells of."""

    dry: bool = False
    """Return the lock, and write none."""

    @property
    def looks(self) -> bool:
        """Whether a lock that answers all that is asked for may be made anew for what the source needs."""
        return self.look_at_project or self.update


def ensure_lock(
    request: Request, policy: Policy, plugins: Plugins, resolve: Callable[[Request], Lock]
) -> Lock:
    """Return the project's lock, made when there is none.

    Args:
        request: what is asked for, with cog-nix.toml as it is.
        policy: what may happen to a lock that is there.
        plugins: know the packages of Cog's base image.
        resolve: makes a lock; called only when one has to be made.

    Raises:
        StaleLockError: there is one for other inputs, and it may not be updated.
        LockError: the lock cannot be read, or resolving failed.
    """
    project = request.project
    previous = previous_lock(project, policy.upgrade, update=policy.update)
    sibling = None if previous else _sibling(project, policy)
    request = replace(completed(request, previous, plugins, policy), sibling=sibling)
    fresh = previous and not policy.upgrade.anything and request.digest == previous.inputs
    if previous and fresh and not _is_outdated(request, policy, previous, plugins):
        validity.check_commands(previous, commands.texts(request.config.build), project.lock_path.name)
        if policy.update and not policy.dry:
            lock_format.renew(previous, project.lock_path)
        return previous
    if previous and not policy.update and not policy.upgrade.anything:
        raise _stale(request, policy, previous)
    check_upgrade_names(previous, policy.upgrade)
    lock = resolve(request)
    if not policy.dry:
        lock_format.write(lock, project.lock_path)
    return lock


def _sibling(project: Project, policy: Policy) -> Lock | None:
    """Return the lock of another platform, whose versions are taken where this one has none so far.

    Raises:
        NoPlatformError: there is one, and none for this platform may be made.
        LockError: it cannot be read.
    """
    if policy.upgrade.everything:
        return None
    there = lock_format.locked_platforms(project.lock_path)
    if there and not policy.update:
        raise lock_format.NoPlatformError(
            project.lock_path.name, project.platform.name, [one.name for one in there]
        )
    return lock_format.read(project.lock_path, None) if there else None


def completed(request: Request, previous: Lock | None, plugins: Plugins, policy: Policy) -> Request:
    """Return what is asked for, with what a lock so far and the user add to it.

    Args:
        request: with cog-nix.toml as it is.
        previous: the lock so far.
        plugins: know the packages of Cog's base image.
        policy: says whether these come, and which pins may move.
    """
    settings = cog_base.completed(request.settings, previous, policy.cog_base)
    return replace(
        request,
        settings=settings,
        base_image=cog_base.packages(settings, plugins),
        previous=previous,
        upgrade=policy.upgrade,
    )


def _stale(request: Request, policy: Policy, previous: Lock) -> StaleLockError:
    """Return the error for a lock that was made for something else."""
    project = request.project
    flag, reason = "", "what is asked for has changed."
    if previous.cog_base != request.settings.system.cog_base:
        reason = f"it was made {'with' if previous.cog_base else 'without'} the packages of Cog's base image."
    if policy.cog_base is not None:
        flag = f" {cog_base.FLAG}{'' if policy.cog_base else '=false'}"
    return StaleLockError(
        f"{project.lock_path.name} does not fit {project.config_path.name} any more: {reason}",
        hint=f"To resolve what changed and keep every other pin:  cog-nix build --update-lock{flag}\n"
        f"To move pins as well:  cog-nix lock --upgrade{flag} [NAME]",
    )


def _is_outdated(request: Request, policy: Policy, previous: Lock, plugins: Plugins) -> bool:
    """Tell whether a lock that answers all that is asked for has to be made anew, where that is allowed.

    That is so where the project's source links to libraries, or did, or starts other programs; and where
    wheels turned out to be other than the lock was made by.
    """
    if policy.looks and _needs_differ(request, policy, previous, plugins):
        return True
    if not policy.update:
        return False
    from cog_nix.resolve.wheel_facts import is_refuted  # noqa: PLC0415 - only where it may be made anew

    return is_refuted(previous, cache_dir())


def _needs_differ(request: Request, policy: Policy, previous: Lock, plugins: Plugins) -> bool:
    from cog_nix.elf.folder import scan_project  # noqa: PLC0415 - only where it is asked
    from cog_nix.resolve import programs  # noqa: PLC0415 - as above

    if request.settings.system.programs:
        names = programs.names(programs.starts(request.root, request.config, request.settings, plugins))
        if names != (previous.programs or ()):
            return True
    return policy.look_at_project and (
        _links_for_project(previous)
        or bool(scan_project(request.root, request.project.platform.elf_machine).files)
    )


def _links_for_project(lock: Lock) -> bool:
    """Tell whether a lock holds a library for the project's own files."""
    return any(reason.verb is Verb.NEEDS and reason.origin.is_project for reason in lock.reasons)


def previous_lock(project: Project, upgrade: Upgrade, *, update: bool = False) -> Lock | None:
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
        return lock_format.read(project.lock_path, project.platform)
    except LockError as error:
        if upgrade.everything:
            return None
        if update and isinstance(error, EditedLockError) and error.trusted:
            return error.trusted
        raise


def check_upgrade_names(previous: Lock | None, upgrade: Upgrade) -> None:
    """Refuse names that the lock does not hold.

    Raises:
        LockError: with the closest names.
    """
    if previous is None:
        return
    known = {deb.package for deb in previous.debs} | {wheel.name for wheel in previous.wheels}
    known |= {package.reference for package in previous.packages} | {file.path for file in previous.files}
    known.add(BUILDERS)
    if previous.interpreter.artifact:
        known.add(INTERPRETER)
    for name in sorted(upgrade.names - known):
        close = ", ".join(get_close_matches(name, known))
        raise NotLockedError(name, hint=f"Did you mean {close}?" if close else "")


def sdk_version(lock: Lock) -> str:
    """Return the version of the Cog SDK in the image.

    Raises:
        LockError: the lock has none.
    """
    for wheel in lock.wheels:
        if wheel.name == "cog":
            return wheel.version
    raise LockError("The lock holds no cog.", hint="Write it again with:  cog-nix lock --upgrade")
