"""Where else a CPython build may be: below the mirror that is configured now, under the same path."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cog_nix.fetch.origins import Alternative

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.lock.model import Artifact
    from cog_nix.plugins.spec import Context

_MIRROR = "UV_PYTHON_INSTALL_MIRROR"
_BUILD = "cpython-"


def origins_of(files: Sequence[Artifact], context: Context) -> Mapping[str, Sequence[Alternative]]:
    """Name the configured mirror for CPython builds, which has them as ``DATE/FILE``.

    Args:
        files: which.
        context: its settings name a mirror.
    """
    mirror = context.settings.python.mirror or os.environ.get(_MIRROR)
    if not mirror:
        return {}
    builds = [file for file in files if file.filename.startswith(_BUILD)]
    return {file.sha256: [Alternative(_at(mirror, file.url), "mirror of Pythons")] for file in builds}


def _at(mirror: str, url: str) -> str:
    return "/".join([mirror.rstrip("/"), *url.rsplit("/", 2)[1:]])
