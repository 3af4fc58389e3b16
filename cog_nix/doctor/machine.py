"""The machine: Nix, what its sandbox needs of the kernel, and room on the disks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError
from cog_nix.processes import run
from cog_nix.spec import Finding
from cog_nix.store import nix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.store.nix import Nix

_GIGABYTE = 10**9
_ROOM = 10 * _GIGABYTE
"""What a model with CUDA takes in the store, unpacked and as a layer."""
_TRIAL = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "true")
_SETTINGS = {
    "apparmor_restrict_unprivileged_userns": (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "unprivileged_userns_clone": (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "sudo sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    "max_user_namespaces": (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "sudo sysctl -w user.max_user_namespaces=15000",
    ),
}
"""Settings of the kernel that forbid user namespaces: file, forbidding value, and what mends it. The first is
Ubuntu's since 23.10, the second Debian's (until 11 on by default), the third the kernel's own."""


def examine(cache: Path) -> Iterator[Finding]:
    """Look at Nix, user namespaces and the disks below the store and the cache."""
    try:
        found = nix.discover()
    except CogNixError as error:
        yield Finding("Nix", "error", error.message, error.hint)
        yield from disk("cache", cache)
        return
    yield _version(found)
    yield from namespaces(found.kind)
    yield from disk("Nix store", found.store_dir)
    yield from disk("cache", cache)


def _version(found: Nix) -> Finding:
    try:
        text = run([found.program("nix-build"), "--version"]).stdout.strip()
    except CogNixError as error:
        return Finding("Nix", "error", error.message, "Install Nix anew.")
    kinds = {"root": "as root", "daemon": "through its daemon", "single-user": "as its only user"}
    return Finding("Nix", "ok", f"{text}, {kinds.get(found.kind, 'with a store of your own')}")


def namespaces(kind: str, settings: dict[str, tuple[str, str, str]] | None = None) -> Iterator[Finding]:
    """Try what the sandbox does: a user namespace with a mount and a process namespace in it.

    Args:
        kind: how Nix is used; a daemon makes namespaces as root, and only the step inside it matters.
        settings: what is looked at when it fails; for tests.
    """
    try:
        run(list(_TRIAL))
    except CogNixError as error:
        forbidding = list(_forbidding(settings or _SETTINGS))
        for name, remedy in forbidding:
            yield Finding("sandbox", "error", f"The kernel forbids user namespaces ({name}).", remedy)
        if not forbidding:
            yield Finding(
                "sandbox",
                "error",
                f"A user namespace cannot be made: {error.message}",
                "In a container, start it with --privileged or a seccomp profile that allows unshare.",
            )
        return
    yield Finding("sandbox", "ok", f"user namespaces work ({kind})")


def _forbidding(settings: dict[str, tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    for name, (file, value, remedy) in settings.items():
        try:
            found = Path(file).read_text(encoding="ascii").strip()
        except OSError:
            continue  # this kernel does not have it
        if found == value:
            yield name, remedy


def disk(what: str, folder: Path, room: int = _ROOM) -> Iterator[Finding]:
    """Compare the free space of a folder's disk with what a large model takes."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free
    text = f"{free / _GIGABYTE:.1f} GB free for the {what} ({there})"
    if free < room:
        remedy = "nix-collect-garbage" if what == "Nix store" else f"rm -r {folder}"
        yield Finding("disk", "warning", f"only {text}", f"Remove what is not used:  {remedy}")
    elif not os.access(there, os.W_OK) and what == "cache":
        yield Finding("disk", "error", f"{there} cannot be written to", "Set COG_NIX_CACHE_DIR.")
    else:
        yield Finding("disk", "ok", text)
