"""A node pulls a model's next version: what of it that node does not have. By containerd, and by Podman.

``python -m benchmarks.run cold-start:2`` (GB). Each has a store of its own, removed afterwards. Needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import push
from benchmarks.measure import GB, Row, fill, project, run, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Project

_SHARDS = 8
_MB = 1e6
_SHARE = 0.25
"""Of the time of a whole pull, where an eighth of the weights has changed."""
_WAIT = 30


def cold_start(gigabytes: int = 2) -> tuple[Row, ...]:
    """Pull a model with so many GB in eight shards, and then its next version, which has one of them new."""
    if os.geteuid() or not all(map(shutil.which, ("containerd", "ctr", "podman"))):
        sys.exit("The benchmark cold-start needs root, and Debian's packages containerd and podman.")
    size = gigabytes * GB // _SHARDS
    with project("hello-world") as copy, push.registry() as host:
        for number in range(_SHARDS):
            fill(_shard(copy, number), size)
        old, new = (f"{host}/me/model:{tag}" for tag in ("v1", "v2"))
        copy.cog_nix("push", old)
        fill(_shard(copy, _SHARDS // 2), size)
        copy.edit()
        copy.cog_nix("push", new)
        rows = []
        for name, started in (("containerd", containerd), ("podman", podman)):
            with started() as (pull, _):
                (whole,) = timed(1, lambda _, pull=pull: pull(new))  # type: ignore[misc]
            with started() as (pull, content):
                pull(old)
                before = _bytes_in(content)
                (update,) = timed(1, lambda _, pull=pull: pull(new))  # type: ignore[misc]
                fetched = _bytes_in(content) - before
            title = f"cold-start:{gigabytes} {name}"
            rows.append(Row(title, "s", (update,), whole * _SHARE, whole, "the whole image"))
            if content:
                rows.append(Row(f"{title} fetched", "MB", (fetched / _MB,), 1.05 * size / _MB))
    return tuple(rows)


def _shard(copy: Project, number: int) -> Path:
    return copy.folder / f"model-{number}.safetensors"


def _bytes_in(content: Path | None) -> int:
    """Return the bytes of a folder of blobs."""
    return sum(path.stat().st_size for path in content.iterdir()) if content else 0


@contextmanager
def containerd(
    programs: Path | None = None, unpacks: int = 1
) -> Iterator[tuple[Callable[[str], object], Path | None]]:
    """Yield a function that pulls an image into an empty store, and the folder of its blobs.

    Args:
        programs: folder with ``containerd`` and ``ctr``; None: this machine's.
        unpacks: how many layers are unpacked at once; versions before 2.2 unpack one after the other.
    """
    daemon, client = (str(programs / name) if programs else name for name in ("containerd", "ctr"))
    with tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as folder:
        config = Path(folder, "config.toml")
        socket = f"{folder}/socket"
        config.write_text(
            'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'root = "{folder}/root"\nstate = "{folder}/state"\n[grpc]\naddress = "{socket}"\n'
            f'[ttrpc]\naddress = "{socket}.ttrpc"\n'
            f'[plugins."io.containerd.transfer.v1.local"]\nmax_concurrent_unpacks = {unpacks}\n'
        )
        process = subprocess.Popen(
            [daemon, "--config", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + _WAIT
            while not Path(socket).exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            yield (
                lambda image: run(
                    [client, "--address", socket, "images", "pull", "--plain-http", image], Path(folder)
                ),
                Path(folder, "root/io.containerd.content.v1.content/blobs/sha256"),
            )
        finally:
            process.terminate()
            process.wait()


@contextmanager
def podman(storage: str = "") -> Iterator[tuple[Callable[[str], object], Path | None]]:
    """Yield a function that pulls an image into an empty store.

    Args:
        storage: what containers-storage.conf(5) says; none: what it says on this machine.
    """
    with (
        tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as folder,
        tempfile.TemporaryDirectory(prefix="cn-", dir="/tmp") as short,  # at most 50 characters
    ):
        own = ["podman", "--root", f"{folder}/root", "--runroot", short]
        env = {}
        if storage:
            Path(folder, "storage.conf").write_text(storage)
            env = {"CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf"}
        try:
            yield lambda image: run([*own, "pull", "--tls-verify=false", image], Path(folder), env), None
        finally:
            run([*own, "rmi", "--all", "--force"], Path(folder), env)
