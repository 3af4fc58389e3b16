"""What ``cog-nix doctor`` finds out about the Debian archive, and about the programs that come from it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError
from cog_nix.plugins.spec import Finding

from . import pins, programs
from .archive import check_mirror

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.plugins.spec import Context

_SUITE = "trixie"
"""The suite that most images are made of."""


def diagnose(context: Context) -> Iterator[Finding]:
    """Look at the mirror and at cog-nix's Own programs."""
    yield _mirror(context)
    yield from _programs(context)


def _programs(context: Context) -> Iterator[Finding]:
    """Tell what has been fetched; to mend it is to move it to what the archive has now."""
    found = pins.current(context.cache_dir)
    there = [
        name for name in pins.PACKAGES if found and programs.folder(name, found, context.cache_dir).is_dir()
    ]
    if found is None or not there:
        return
    titles = (programs.TITLES[name] for name in there)
    text = " and ".join(f"{title} {found.version(package)}" for title, package in titles)
    why = "pinned with this release" if found.released else f"what Debian had on {found.date}"
    folders = ", ".join(str(programs.folder(name, found, context.cache_dir) / "bin") for name in there)
    renew = functools.partial(_renew, there, context)
    yield Finding("Own programs", "ok", f"{text}, {why} ({folders})", fix=renew)


def _renew(names: list[str], context: Context) -> None:
    newer = pins.renew(context)
    for name in names:
        programs.make(name, newer, context)


def _mirror(context: Context) -> Finding:
    """Fetch the suite's signed index of indexes, which is small."""
    try:
        where = check_mirror(_SUITE, context)
    except CogNixError as error:
        remedy = error.hint or "Name another mirror in COG_NIX_DEBIAN_MIRROR or cog-nix.toml."
        return Finding("Mirrors", "error", error.message, remedy)
    return Finding("Mirrors", "ok", f"the Debian archive answers ({where})")
