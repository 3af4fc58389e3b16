"""Pushing, to a registry on this machine: Debian's docker-registry, started and ended here."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Project, Row, project, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "127.0.0.1:{port}"}}
log: {{level: error, accesslog: {{disabled: true}}}}
"""
_OVERLAY = """\
final: prev: {
  layers = prev.layers ++ [ (final.lib.folder { name = "ballast"; path = ./ballast; to = "/opt/ballast"; }) ];
}
"""
_BALLAST = 610_000_000
"""Bytes that make the image about 700 MB with the base, Python and the SDK."""


@contextmanager
def registry() -> Iterator[str]:
    """Yield ``host:port`` of an empty registry."""
    program = shutil.which("docker-registry", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not program:
        sys.exit("The benchmarks push and push-first need Debian's package docker-registry.")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as folder:
        config = Path(folder, "config.yml")
        config.write_text(_CONFIG.format(folder=folder, port=port))
        process = subprocess.Popen([program, "serve", config], stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def edited() -> Row:
    """Change a line of the source, and have the new image in a registry."""
    with project("hello-world") as copy, registry() as host:

        def once(_: int) -> None:
            copy.edit()
            copy.cog_nix("push", f"{host}/me/model:v1")

        once(-1)
        values = timed(8, once)
    return Row("push", "s", values, 0.4)


def unchanged() -> Row:
    """Push what is in the registry already."""
    with project("hello-world") as copy, registry() as host:

        def once(_: int) -> None:
            copy.cog_nix("push", f"{host}/me/model:v1")

        once(-2)
        time.sleep(0.2)  # a lock that is too new is not trusted
        once(-1)
        values = timed(8, once)
    return Row("no-push", "s", values, 0.25)


def first() -> Row:
    """Compress an image of 700 MB that was built, and upload all of it."""
    with project("hello-world") as copy:
        (copy.folder / "cog-nix.nix").write_text(_OVERLAY)
        (copy.folder / ".dockerignore").write_text("ballast\n")
        _fill(copy)
        values = [_first(copy, number) for number in range(3)]
    return Row("push-first", "s", tuple(values), 15)


def _first(copy: Project, number: int) -> float:
    """Time one push of blobs that neither the store nor the registry knows."""
    (copy.folder / "ballast/number").write_text(f"{number} {time.time_ns()}")
    copy.cog_nix("build", "--no-load")
    with registry() as host:
        began = time.monotonic()
        copy.cog_nix("push", f"{host}/me/model:v1")
        return time.monotonic() - began


def _fill(copy: Project) -> None:
    """Put what compresses as software does beside the source: this machine's own libraries, repeatedly."""
    folder = copy.folder / "ballast"
    folder.mkdir()
    left, number = _BALLAST, 0
    files = sorted(
        path for path in Path("/usr/lib").rglob("*.so*") if path.is_file() and not path.is_symlink()
    )
    while left > 0:
        for path in files:
            data = path.read_bytes()[:left]
            (folder / f"{number}-{path.name}").write_bytes(data)
            left -= len(data)
            if left <= 0:
                break
        number += 1
