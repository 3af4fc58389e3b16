"""CPython builds that run anywhere: every version that Debian does not have.

The builds are those of python-build-standalone, as uv lists them. The story is in :mod:`.offer`; what each
module knows: uv's list and its hashes (:mod:`.uv`), which build is meant (:mod:`.choice`), and where else one
may be (:mod:`.origins`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.plugins.spec import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.fetch.origins import Alternative
    from cog_nix.lock.model import Artifact, Interpreter
    from cog_nix.plugins.spec import Context, InterpreterChoice


@hookimpl
def provide_interpreter(
    python_version: str, pinned: Interpreter | None, context: Context
) -> InterpreterChoice | None:
    """Offer the build that is pinned, or the newest that fits."""
    from cog_nix_hooks.standalone.offer import offer_interpreter  # only locking needs it

    return offer_interpreter(python_version, pinned, context)


@hookimpl
def origins_of(files: Sequence[Artifact], context: Context) -> Mapping[str, Sequence[Alternative]]:
    """Name the mirror of CPython builds that is configured now."""
    from cog_nix_hooks.standalone.origins import origins_of as find

    return find(files, context)
