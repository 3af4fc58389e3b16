# ruff: noqa: INP001, T201 - a script
"""Run a built image once without Docker: unpack its layers, start its command in namespaces, ask it, stop it.

::

    python scripts/run_without_docker.py ./result -i text=world

A demonstration that the image is plain files and a command, not a container engine: there are no limits, no
network of its own, no GPU. It needs unshare(1) and user namespaces, which the builds need as well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cog_nix.errors import CogNixError, ImageError
from cog_nix.runtime.client import ModelClient
from cog_nix.runtime.health import wait_until_ready
from cog_nix.runtime.inputs import prepare_inputs, read_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.spec import Container

_ENTER = """\
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
root=$1 folder=$2
shift 2
exec chroot "$root" /usr/bin/env -C "$folder" "$@"
"""
"""What runs first in the namespaces; a plain chroot is enough, as nothing in here is to be kept in."""

_SECONDS = 120


@dataclass
class Process:
    """A started image: as much of :class:`cog_nix.spec.Container` as waiting for it needs."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def wait(self, timeout: float) -> int:
        """Wait for its end."""
        return self.process.wait(timeout)

    def logs(self) -> str:
        """Return what it wrote."""
        return self.log.read_text(errors="replace")


def describe(image: Path) -> dict[str, Any]:
    """Return what an image says of itself."""
    if not image.is_file():
        raise ImageError(f"There is no image {image}.", hint="Build it:  cog-nix build --no-load")
    said = subprocess.run([image, "--inspect"], check=True, stdout=subprocess.PIPE).stdout
    description: dict[str, Any] = json.loads(said)
    return description


def unpack(image: Path, root: Path) -> None:
    """Unpack an image's layers, which its archive holds from bottom to top, into ``root``."""
    with (
        subprocess.Popen([image], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            if member.name.endswith(".tar"):
                with tarfile.open(fileobj=archive.extractfile(member), mode="r|") as layer:
                    _unpack_layer(layer, root)
    if process.returncode:
        raise ImageError(f"{image} could not be read to its end.", hint="Build it again.")
    for name in ("dev", "proc", "tmp"):
        (root / name).mkdir(exist_ok=True)
    shutil.copyfile("/etc/hosts", root / "etc/hosts")


def _unpack_layer(layer: tarfile.TarFile, root: Path) -> None:
    # Newer Pythons would refuse absolute links, of which a root file system is full.
    layer.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
    for member in layer:
        member.mode &= 0o777  # no setuid bits outside of an image
        member.mode |= 0o200
        member.uid, member.gid = os.getuid(), os.getgid()
        member.uname = member.gname = ""
        layer.extract(member, root)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(config: dict[str, Any], root: Path, log: Path) -> Iterator[Process]:
    """Start an image's command in ``root`` and yield it; stop it afterwards, whatever happens.

    Args:
        config: the ``config`` object of the OCI image configuration.
        root: the unpacked image.
        log: file for what it writes.
    """
    port = free_port()
    variables = ["HOME=/root", f"PORT={port}", "COG_LOG_LEVEL=warning", *config["Env"]]
    command = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]
    command += ["sh", "-e", "-c", _ENTER, "sh", str(root), config["WorkingDir"], "-i", *variables]
    command += [*config["Entrypoint"], *config["Cmd"]]
    with (
        log.open("wb") as sink,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink) as process,
    ):
        try:
            yield Process(f"http://127.0.0.1:{port}", process, log)
        finally:
            process.kill()  # unshare ignores SIGTERM; with its end, all of the namespace ends


def predict(image: Path, inputs: list[str]) -> Any:
    """Unpack, start, ask once.

    Raises:
        CogNixError: it does not start, or the prediction fails.
    """
    config = describe(image)["config"]["config"]
    with tempfile.TemporaryDirectory(prefix="cog-nix-run-") as folder:
        root = Path(folder) / "root"
        root.mkdir()
        unpack(image, root)
        with started(config, root, Path(folder) / "log") as process:
            wait_until_ready(cast("Container", process), _SECONDS)
            client = ModelClient(process.url)
            prediction = client.predict(prepare_inputs(read_inputs(inputs, ""), client.schema()))
    if not prediction.succeeded:
        raise ImageError(f"The prediction {prediction.status}: {prediction.error}")
    return prediction.output


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Run a built image once without Docker.")
    parser.add_argument("image", type=Path, help="what `cog-nix build` built, ./result")
    parser.add_argument("-i", "--input", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    try:
        output = predict(options.image.resolve(), options.input)
    except CogNixError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(output if isinstance(output, str) else json.dumps(output, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
