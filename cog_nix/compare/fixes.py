"""Security holes that newer packages close: asked of whoever knows the distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.compare.diff import Diff
    from cog_nix.plugins.manager import Plugins
    from cog_nix.plugins.spec import Context


def with_fixes(found: Diff, plugins: Plugins, context: Context) -> Mapping[str, Sequence[str]]:
    """Return what newer packages close, by package; where that cannot be told, one line says so.

    Args:
        found: what changed.
        plugins: who knows.
        context: services, for what has to be fetched.
    """
    pairs = [
        (one.old.version, one.new.deb)
        for one in found.changes
        if one.old and one.new and one.new.deb and one.old.kind == one.new.kind
    ]
    if not pairs or not found.new.lock:
        return {}
    try:
        return plugins.find_fixes(pairs, found.new.lock.suite, context) or {}
    except CogNixError as error:
        reason = error.message.partition("\n")[0]
        context.reporter.warn(f"Security fixes of {len(pairs)} packages cannot be told: {reason}")
        return {}
