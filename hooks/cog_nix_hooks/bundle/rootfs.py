"""Makes one root file system of an image's layers and a folder for what the container writes.

All of it happens in a mount namespace of the container's own: when the last process has ended, the mounts
are gone, whoever ended it.
"""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import RuntimeFailure
from cog_nix.namespaces import mounts_as_root
from cog_nix_hooks.bundle import fstab, sysfs
from cog_nix_hooks.bundle.folders import new_name, owned
from cog_nix_hooks.bundle.layers import OPAQUE_ATTRIBUTE, remove
from cog_nix_hooks.bundle.programs import program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix_hooks.bundle.bound import BoundFile

_BEFORE = """\
set -e
mount=$1; folder=$2; options=$3; hidden=$4
shift 4
"$mount" -t proc proc /proc
cd "$folder"
"""
_GUARD = "guard.fstab"
_FILES = "files.fstab"
_AFTER = f"""
# Devices that an image brings, or that root makes, are files and open nothing.
{sysfs.SCRIPT}"$mount" --bind -o nodev rootfs rootfs
# Before anything is hidden: the project may lie there.
[ ! -s {_FILES} ] || "$mount" --all --fstab {_FILES}
[ -z "$hidden" ] || "$mount" -t tmpfs -o mode=755 tmpfs "$hidden"
[ ! -s {_GUARD} ] || "$mount" --all --fstab {_GUARD}
"""
_SCRIPTS = {
    "overlay": f'{_BEFORE}"$mount" -t overlay overlay -o "userxattr,$options" rootfs{_AFTER}exec "$@"',
    # What it says of options that it ignores is no line of the model's. The shell stays, because crun would
    # wait for the end of fuse-overlayfs.
    "fuse": _BEFORE + 'said=$(fuse-overlayfs -o "$options" rootfs 2>&1) || { echo "$said" >&2; exit 1; }'
    f'{_AFTER}set +e; "$@"; exit $?',
    "copy": f'{_BEFORE}{_AFTER}exec "$@"',
}
_STILL_OWNED = '[ "$PPID" = "$0" ] && exec "$@"'
"""Who died before setpriv(1) asked for a signal at its death never sends one."""
_LAYERS = "l"
"""A folder of links, for mount(2) takes 4096 bytes of options and an image may have 127 layers."""


@dataclass(frozen=True)
class Isolation:
    """The programs that start others in namespaces, and what those do not see."""

    setpriv: str = "setpriv"
    unshare: str = "unshare"
    mount: str = "mount"
    hidden: str = ""
    """A folder that is empty for them; none when empty."""
    guarded: str = ""
    """A folder that is read-only for them; none when empty."""

    def command(self) -> list[str]:
        """Return the command that starts another in namespaces of its own, and ends with this process.

        The process ids' namespace is there for its end: whoever kills ``unshare`` kills all that run in it. A
        plain user is root in there, and root of nothing else.
        """
        command = [self.setpriv, "--pdeathsig", "KILL", "sh", "-c", _STILL_OWNED, str(os.getpid())]
        command += [self.unshare, "--mount", "--pid", "--fork", "--kill-child"]
        return command if mounts_as_root() else [*command, "--user", "--map-root-user"]


def failure(isolation: Isolation) -> str | None:
    """Return None when namespaces can be made here, otherwise what the kernel said."""
    try:
        subprocess.run(
            [*isolation.command(), isolation.mount, "-t", "proc", "proc", "/proc"],
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    except subprocess.CalledProcessError as error:
        return str(error.stderr).strip() or f"exit status {error.returncode}"
    return None


def choose(folder: Path, isolation: Isolation) -> str:
    """Return how layers are joined below ``folder``: ``overlay``, ``fuse`` or ``copy``, the best that works.

    Args:
        folder: where containers are kept; what the kernel allows depends on its file system.
        isolation: what they are joined in.
    """
    for method in ("overlay", "fuse"):
        if method == "fuse" and not program("fuse-overlayfs"):
            continue
        with owned(folder, new_name("trial")) as trial:
            lower = [trial / "a", trial / "b"]
            for one in lower:
                one.mkdir()
            command = [*prepare(trial, lower, method, isolation), "true"]
            tried = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            if tried.returncode == 0:
                return method
    return "copy"


def prepare(
    folder: Path,
    layers: Sequence[Path],
    method: str,
    isolation: Isolation,
    files: Sequence[BoundFile] = (),
) -> list[str]:
    """Prepare a container's folder; return the command that mounts ``rootfs`` in it and runs what follows.

    Args:
        folder: of the container, empty.
        layers: folders of the unpacked layers, from bottom to top.
        method: as :func:`choose` says.
        isolation: what it is mounted in.
        files: that the layers leave where they are.
    """
    for name in ("rootfs", "upper", "work", _LAYERS):
        (folder / name).mkdir()
    for index, layer in enumerate(layers):
        (folder / _LAYERS / str(index)).symlink_to(layer)
    sysfs.prepare(folder)
    fstab.write(folder / _GUARD, [fstab.read_only(Path(isolation.guarded))] if isolation.guarded else [])
    rootfs = folder / "rootfs"
    fstab.write(folder / _FILES, [fstab.bound(Path(one.source), rootfs / one.target) for one in files])
    if method == "copy":
        copy(layers, folder / "rootfs")
    lower = ":".join(f"{_LAYERS}/{index}" for index in reversed(range(len(layers))))
    options = f"lowerdir={lower},upperdir=upper,workdir=work"
    words = [isolation.mount, str(folder), options, isolation.hidden]
    return [*isolation.command(), "sh", "-c", _SCRIPTS[method], "sh", *words]


def copy(layers: Sequence[Path], root: Path) -> None:
    """Lay layers over each other in ``root``, as overlayfs would show them.

    Raises:
        RuntimeFailure: a layer cannot be copied.
    """
    for layer in layers:
        gone = _hide(layer, root)
        try:
            subprocess.run(
                ["cp", "--archive", "--reflink=auto", "--remove-destination", f"{layer}/.", root],
                check=True,
                capture_output=True,
                text=True,
            )
        except subprocess.CalledProcessError as error:
            raise RuntimeFailure(
                f"The image's layers cannot be copied to {root}: {error.stderr.strip()}",
                hint="Free some space; where overlayfs or fuse-overlayfs works, nothing is copied.",
            ) from error
        for path in gone:
            path.unlink()


def _hide(layer: Path, root: Path) -> list[Path]:
    """Remove from ``root`` what a layer removes; return the marks that copying the layer will leave."""
    gone = []
    for parent, _, files in os.walk(layer):
        target = root / Path(parent).relative_to(layer)
        if OPAQUE_ATTRIBUTE in os.listxattr(parent) and target.is_dir():
            remove(target)
        for name in files:
            status = Path(parent, name).lstat()
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                gone.append(target / name)
                if (target / name).is_dir() and not (target / name).is_symlink():
                    remove(target / name)
                else:
                    (target / name).unlink(missing_ok=True)
    return gone
