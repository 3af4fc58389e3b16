"""Runs images without a daemon and without root: unpacked layers, overlayfs, and crun, runc or bubblewrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.plugins.spec import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cog_nix.plugins.spec import Finding, Runtime
    from cog_nix.report import Reporter

NAME = "bundle"


@hookimpl
def runtime_names() -> tuple[str, ...]:
    """Name the one runtime that is here."""
    return (NAME,)


@hookimpl
def provide_runtime(name: str, reporter: Reporter) -> Runtime | None:
    """Offer the daemonless runtime under its name."""
    if name != NAME:
        return None
    from cog_nix.plugins.bring import bring
    from cog_nix.system.paths import cache_dir  # most commands need no runtime
    from cog_nix_hooks.bundle.runtime import BundleRuntime

    return BundleRuntime(cache_dir() / NAME, bring=lambda: bring("container", reporter))


@hookimpl
def diagnose() -> Iterable[Finding]:
    """Tell what runs containers here without a daemon."""
    from cog_nix_hooks.bundle import checks  # only the doctor asks

    return list(checks.diagnose())
