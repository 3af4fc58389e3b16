"""How crun, runc and bubblewrap are told to run a root file system."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.container import SHARED_MEMORY
from cog_nix_hooks.bundle import seccomp
from cog_nix_hooks.bundle.oci import (
    CAPABILITIES,
    MASKED,
    READ_ONLY,
    binds,
    bundle_config,
    kernel_binds,
)

if TYPE_CHECKING:
    from cog_nix_hooks.bundle.process import Process


class NotThatUserError(RuntimeFailure):
    """An engine cannot be the user of an image: runc for a plain user, and bubblewrap for root.

    Args:
        engine: its name.
        uid: whom the image names.
    """

    def __init__(self, engine: str, uid: int) -> None:
        super().__init__(hint="Install crun, or run it with --runtime docker.")
        self.engine, self.uid = engine, uid

    def __str__(self) -> str:
        return f"The image runs as the user {self.uid}, whom {self.engine} cannot be here"


def prepare(engine: str, folder: Path, process: Process, name: str) -> list[str]:
    """Write what an engine reads into a container's folder; return the command that runs the container.

    Environment variables may be secrets: they stand in files that only their owner can read, and in no
    command.
    """
    kind = Path(engine).name
    if (kind == "runc" and process.mapped) or (kind == "bwrap" and process.user.uid and not process.mapped):
        raise NotThatUserError(kind, process.user.uid)
    hosts = folder / "hosts"
    hosts.write_text("\n".join((_hosts(), f"127.0.1.1\t{name}", *process.hosts, "")))
    if Path(engine).name == "bwrap":
        arguments = folder / "arguments"
        arguments.write_bytes(
            b"".join(os.fsencode(word) + b"\0" for word in _bubblewrap(process, name, folder))
        )
        filtered = "--seccomp 8" if seccomp.write_program(folder / "seccomp") else ""
        (folder / "seccomp").touch()
        script = f'exec "$0" --args 9 {filtered} -- "$@" 9<arguments 8<seccomp'
        return ["sh", "-c", script, engine, *process.args]
    (folder / "config.json").write_text(json.dumps(bundle_config(process, name, folder)))
    options = ["--cgroup-manager=disabled"] if Path(engine).name == "crun" else []
    return [engine, *options, "--root", str(folder / "state"), "run", "--bundle", str(folder), name]


def _bubblewrap(process: Process, name: str, folder: Path) -> list[str]:
    words = ["--bind", "rootfs", "/", "--dev", "/dev", "--proc", "/proc"]
    for source, target in kernel_binds(folder):
        words += ["--ro-bind", str(source), target]
    for path in filter(os.path.exists, READ_ONLY):
        words += ["--ro-bind", path, path]
    for path in filter(os.path.exists, MASKED):
        is_folder = Path(path).is_dir()
        words += ["--tmpfs", path, "--remount-ro", path] if is_folder else ["--ro-bind", os.devnull, path]
    words += ["--size", str(SHARED_MEMORY), "--tmpfs", "/dev/shm"]  # noqa: S108 - in the container
    for source, target in binds(process, folder):
        words += ["--bind", str(source), target]
    for source, target in process.read_only:
        words += ["--ro-bind", str(source), target]
    if process.sealed:
        words += ["--perms", "1777", "--tmpfs", "/tmp", "--remount-ro", "/"]  # noqa: S108 - as above
    if process.mapped:
        words += ["--unshare-user", "--uid", str(process.user.uid), "--gid", str(process.user.gid)]
    words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--hostname", name, "--die-with-parent"]
    words += ["--as-pid-1", "--chdir", process.cwd, "--clearenv"]
    words += ["--cap-drop", "ALL"]
    for capability in () if process.mapped else CAPABILITIES:
        words += ["--cap-add", capability]
    for key, value in process.env.items():
        words += ["--setenv", key, value]
    return words


def _hosts() -> str:
    try:
        return Path("/etc/hosts").read_text(errors="replace").rstrip()
    except OSError:
        return "127.0.0.1\tlocalhost"
