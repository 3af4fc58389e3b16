"""What may keep a model from being built or run: this machine, and this project. One function tells it all.

Each check returns findings (:class:`~cog_nix.plugins.spec.Finding`). One that can be mended without asking
carries a ``fix``; nothing is changed before it is called.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from cog_nix.container import choose
from cog_nix.doctor import machine, project

if TYPE_CHECKING:
    from cog_nix.config.model import Project
    from cog_nix.plugins.manager import Plugins
    from cog_nix.plugins.spec import Context, Finding


def examine(where: Project | None, plugins: Plugins, context: Context) -> list[Finding]:
    """Look at everything.

    Args:
        where: the project; None: there is none here.
        plugins: asked about Docker, mirrors and whatever else they know.
        context: settings and services for them.
    """
    found = [*project.examine(where, plugins)] if where else []
    brings = plugins.implements("provide_programs")
    container = functools.partial(choose.would_use, plugins, os.environ)
    found += machine.examine(context.cache_dir, brings=brings, container=container)
    found += machine.emulators(context.settings.image.platforms, needed=where is not None)
    return [*found, *plugins.diagnose(context, where)]
