"""What ``cog-nix doctor`` finds out about running containers without a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.plugins.spec import Finding
from cog_nix.system.paths import cache_dir
from cog_nix_hooks.bundle.choice import Engine, Missing, NoEngine, decide
from cog_nix_hooks.bundle.programs import Programs

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHECK = "Containers"
_BRINGS = "cog-nix fetches bubblewrap when a container is started"


def diagnose() -> Iterator[Finding]:
    """Try what the machine has; fetch nothing."""
    found = decide(cache_dir() / "bundle", Programs())
    if isinstance(found, Engine):
        yield Finding(_CHECK, "ok", f"{found.path} runs containers without a daemon")
        return
    for reason in found:
        if isinstance(reason, Missing | NoEngine):
            yield Finding(_CHECK, "ok", f"{reason.message} {_BRINGS}.")
        else:
            yield Finding(_CHECK, "warning", reason.message, reason.remedy)
