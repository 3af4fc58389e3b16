"""What no image should have of what installations and commands leave behind: clocks, logs, locks, secrets.

What of a command's files is left out is listed in docs/design/run-commands.md.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import deb
from snapshot import walk

if TYPE_CHECKING:
    from pathlib import Path

POLICY = "usr/sbin/policy-rc.d"
"""The file that says whether services may be started (invoke-rc.d(8)); here they may not."""
_MOUNTS_AND_CACHES = (
    "proc",
    "sys",
    "dev",
    "var/cache/apt",
    "var/cache/debconf",
    "var/cache/ldconfig",
    "var/lib/apt/lists",
)
"""Folders whose contents are caches or mounts, whoever writes there."""
_AFTER_INSTALLATION = (*_MOUNTS_AND_CACHES, "tmp", "var/tmp", "var/log/apt")
"""Folders that are emptied; they stay."""
_PACKAGE_CACHES = ("root/.cache/pip", "root/.cache/uv")
_AFTER_COMMAND = (*_MOUNTS_AND_CACHES, "run", "var/log", *_PACKAGE_CACHES)
"""Folders whose contents never belong to a command's layer."""
_LOCKS_AND_BACKUPS = (
    "etc/.pwd.lock",
    *(f"etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow")),
    *(f"var/lib/dpkg/{name}-old" for name in ("status", "available", "diversions", "statoverride", "arch")),
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
)
_FILES_AFTER_INSTALLATION = (
    *_LOCKS_AND_BACKUPS,
    "var/log/alternatives.log",
    "var/log/dpkg.log",
    "var/log/fontconfig.log",
    POLICY,
)
_FILES_AFTER_COMMAND = frozenset(
    {
        *_LOCKS_AND_BACKUPS,
        "etc/hostname",
        "etc/hosts",
        "etc/resolv.conf",
        "etc/subuid-",
        "etc/subgid-",
        "var/lib/dpkg/available",
        "var/lib/apt/daily_lock",
        "root/.wget-hsts",
    }
)
_GIT_LOGS = re.compile(r"(^|/)(\.git|\.git/modules/.+|[^/]+\.git)/logs(/|$)")
"""Logs of Git, which have the times of clones."""
_LOGS = "var/log/"
"""Folder whose files are emptied: a service may want to find its log, with its owner."""
_SECRETS = (
    "etc/ssh/ssh_host_*_key*",
    "etc/ssl/private/ssl-cert-snakeoil.key",
    "etc/ssl/certs/ssl-cert-snakeoil.pem",
)
"""Keys that maintainer scripts make: chance, and a secret that every copy of an image would share."""
_MORE_LOGS = ("var/lib/texmf/web2c/*.log", "var/lib/texmf/web2c/*/*.log")
_MACHINE_IDS = ("etc/machine-id", "var/lib/dbus/machine-id")
_FONT_FOLDER = re.compile(r"<dir>\s*/([^<\s]+?)/*\s*</dir>")
"""A folder of fonts in fontconfig's settings (fonts-conf(5)); those of users have attributes or a tilde."""


def is_volatile(path: str) -> bool:
    """Say whether a path never belongs to the layer of a command."""
    return (
        path in _FILES_AFTER_COMMAND
        or path.startswith(tuple(f"{folder}/" for folder in _AFTER_COMMAND))
        or path in _PACKAGE_CACHES
        or _GIT_LOGS.search(path) is not None
    )


def clean_installation(root: Path) -> None:
    """Remove what carries a clock, belongs to the build, or serves nobody in an image."""
    for name in _AFTER_INSTALLATION:
        folder = root / name
        if folder.is_dir():
            for child in folder.iterdir():
                remove(child)
    for name in _FILES_AFTER_INSTALLATION:
        remove(root / name)
    for pattern in (*_SECRETS, *_MORE_LOGS):
        for found in root.glob(pattern):
            found.unlink()
    for path, info in list(walk(root)):
        plain = stat.S_ISREG(info.st_mode)
        if (deb.pruned(path) and not stat.S_ISDIR(info.st_mode)) or (plain and path.startswith("run/")):
            (root / path).unlink()
        elif plain and info.st_size and path.startswith(_LOGS):
            os.truncate(root / path, 0)
    _remove_empty(root, "usr/share/man")


def _remove_empty(root: Path, top: str) -> None:
    for path, info in reversed(list(walk(root, top))):
        if stat.S_ISDIR(info.st_mode):
            with suppress(OSError):  # where there is something in it
                (root / path).rmdir()


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def font_folders(root: Path) -> list[str]:
    """Return the system's folders of fonts and all folders in them, as fontconfig's settings name them."""
    settings = [root / "etc/fonts/fonts.conf", *sorted((root / "etc/fonts/conf.d").glob("*.conf"))]
    texts = [path.read_text(errors="replace") for path in settings if path.is_file()]
    named = sorted({found for text in texts for found in _FONT_FOLDER.findall(text)})
    tops = [name for name in named if (root / name).is_dir()]
    below = [path for top in tops for path, info in walk(root, top) if stat.S_ISDIR(info.st_mode)]
    return [*tops, *below]


def name_machine(root: Path, seed: bytes) -> None:
    """Replace an identity that was drawn by chance (machine-id(5)) by one that what is in the system gives.

    Args:
        root: the system's folder.
        seed: what is in it.
    """
    identity = uuid.UUID(bytes=hashlib.sha256(seed).digest()[:16], version=4).hex
    for name in _MACHINE_IDS:
        path = root / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size:
            mode = path.stat().st_mode
            path.chmod(0o600)
            path.write_text(f"{identity}\n")
            path.chmod(stat.S_IMODE(mode))
