"""Results of commands, made or tried outside of a build of the image."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from cog_nix.build.provide import provided
from cog_nix.run_commands.ensure import ensure_runs

if TYPE_CHECKING:
    from cog_nix.build.services import Services
    from cog_nix.lock.model import Lock
    from cog_nix.resolve.request import Request
    from cog_nix.run_commands.ensure import RunOptions


def with_runs(request: Request, lock: Lock, options: RunOptions, services: Services) -> Lock:
    """Return a lock with a result of each command of its project; they run where there is none.

    Args:
        request: what the lock was made for.
        lock: what they run on.
        options: what may happen.
        services: plugins, narration, cache.

    Raises:
        CogNixError: a command fails, or gives something else than what is recorded.
    """
    project, config, settings = request.project, request.config, request.settings
    nix = services.nix(project, settings)
    context = functools.partial(services.context, settings, project, config.build.requirements)
    package_of = functools.partial(services.package_of, project, settings, lock.suite)
    run = functools.partial(
        ensure_runs,
        project,
        config,
        lock,
        nix=nix,
        options=options,
        reporter=services.reporter,
        package_of=package_of,
    )
    return provided(project, nix, context, lock, run)
