"""The machine: Nix, what its sandbox needs of the kernel, and room on the disks."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Literal

from cog_nix.errors import CogNixError
from cog_nix.namespaces import emulation, why_no_namespaces
from cog_nix.namespaces.emulation import NoEmulatorError
from cog_nix.plugins.spec import Finding
from cog_nix.store import choice, nix
from cog_nix.system.platforms import AMD64, BUILDER, PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cog_nix.store.choice import Choice
    from cog_nix.store.nix import Nix

_GIGABYTE = 10**9
_ROOM = 10 * _GIGABYTE
"""What a model with CUDA takes in the store, unpacked and as a layer."""


def examine(
    cache: Path, *, brings: bool = False, container: Callable[[], str | None] = lambda: None
) -> Iterator[Finding]:
    """Look at Nix, user namespaces and the disks below the store and the cache.

    Args:
        cache: where downloads are kept.
        brings: whether a plugin has a Nix for machines without a good one; it is not fetched for a look.
        container: names the runtime in whose containers Nix would run; None: there is none.
    """
    if os.environ.get(choice.VARIABLE, "").partition(":")[0] == choice.CONTAINER:
        yield _in_container(container())
        yield from disk("cache", cache)
        return
    bring = (lambda: cache) if brings else None
    try:
        chosen = choice.choose(os.environ, bring, cache)
        found = nix.discover(bring=bring)
    except CogNixError as error:
        yield Finding("Nix", "error", error.message, error.hint)
        yield from disk("cache", cache)
        return
    yield _version(found, chosen, cache)
    yield namespaces(found.kind, container)
    yield from disk("Nix store", found.store_dir)
    yield from disk("cache", cache)


def _version(found: Nix, chosen: Choice, cache: Path) -> Finding:
    kinds = {"root": "as root", "daemon": "through its daemon", "single-user": "as its only user"}
    how = kinds.get(found.kind, "with a store of your own")
    if chosen.origin == "bundled":
        why = chosen.passed_over or "There is none on this machine."
        return Finding("Nix", "ok", f"{why} cog-nix uses its own, {how}")
    program = chosen.bin_dir / "nix-build"
    why = f"named by {choice.VARIABLE}" if chosen.origin == "named" else "this machine's"
    return Finding("Nix", "ok", f"{choice.version(program, cache)} ({program}, {why}), {how}")


def _in_container(runtime: str | None) -> Finding:
    asked = f"{choice.VARIABLE} asks for a container"
    if runtime is None:
        return Finding(
            "Nix", "error", f"{asked}, and there is no runtime to run it.", "Install or start Docker."
        )
    return Finding("Nix", "ok", f"{asked}: it runs in {runtime}")


def namespaces(kind: str, container: Callable[[], str | None] = lambda: None) -> Finding:
    """Try what the sandbox does: a user namespace with mounts and processes of its own in it.

    Args:
        kind: how Nix is used; a daemon makes namespaces as root, and only the step inside it matters.
        container: as for :func:`examine`.
    """
    if obstacle := why_no_namespaces():
        if kind != "daemon" and (runtime := container()):
            return Finding("Sandbox", "ok", f"{obstacle.message} Builds run in a container ({runtime}).")
        return Finding("Sandbox", "error", obstacle.message, obstacle.remedy)
    return Finding("Sandbox", "ok", f"user namespaces work ({kind})")


def emulators(platforms: Sequence[str], *, needed: bool) -> Iterator[Finding]:
    """Try whether programs of images for other processors run here.

    Args:
        platforms: names of those that images are for; none: linux/amd64.
        needed: whether nothing can be built where none of them runs.
    """
    wanted = [PLATFORMS[name] for name in platforms] or [AMD64]
    severity: Literal["error", "warning"] = "error" if needed and BUILDER not in wanted else "warning"
    for one in wanted:
        try:
            emulation.check(one)
        except NoEmulatorError as error:
            yield Finding("Emulator", severity, error.message, error.hint)
        else:
            if one != BUILDER:
                yield Finding("Emulator", "ok", f"programs for {one} run here")


def disk(what: str, folder: Path, room: int = _ROOM) -> Iterator[Finding]:
    """Compare the free space of a folder's disk with what a large model takes."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free
    text = f"{free / _GIGABYTE:.1f} GB free for the {what} ({there})"
    if free < room:
        remedy = "nix-collect-garbage" if what == "Nix store" else f"rm -r {folder}"
        yield Finding("Disk", "warning", f"only {text}", f"Remove what is not used:  {remedy}")
    elif not os.access(there, os.W_OK) and what == "cache":
        yield Finding("Disk", "error", f"{there} cannot be written to", "Set COG_NIX_CACHE_DIR.")
    else:
        yield Finding("Disk", "ok", text)
