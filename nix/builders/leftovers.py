"""What an installation leaves behind that no image should have: clocks, logs, locks, secrets."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import archive
import deb
from listing import walk

if TYPE_CHECKING:
    from pathlib import Path

POLICY = "usr/sbin/policy-rc.d"
"""The file that says whether services may be started (invoke-rc.d(8)); here they may not."""
_VOLATILE = (
    "tmp",
    "var/tmp",
    "proc",
    "sys",
    "dev",
    "var/log/apt",
    "var/cache/debconf",
    "var/cache/ldconfig",
    "var/cache/apt",
    "var/lib/apt/lists",
)
"""Folders whose contents are clocks, caches or mounts; the folders stay."""
_LOGS = "var/log/"
"""Folder whose files are emptied: a service may want to find its log, with its owner."""
_VOLATILE_FILES = (
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    "etc/.pwd.lock",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/available-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "var/lib/dpkg/arch-old",
    "var/log/alternatives.log",
    "var/log/dpkg.log",
    "var/log/fontconfig.log",
    POLICY,
)
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


def clean(root: Path) -> None:
    """Remove what carries a clock, belongs to the build, or serves nobody in an image."""
    for name in _VOLATILE:
        folder = root / name
        if folder.is_dir():
            for child in folder.iterdir():
                remove(child)
    for name in _VOLATILE_FILES:
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


def still(root: Path, folders: list[str]) -> None:
    """Give folders the time that they have in images."""
    for folder in folders:
        os.utime(root / folder, (archive.MTIME, archive.MTIME))
