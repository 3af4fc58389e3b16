"""Small images that need no registry: programs that write archives, as the image in the store is one."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from cog_nix.report import SilentReporter
from cog_nix_hooks.docker.runtime import DockerRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IDLE = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
"""A script that runs until it is told to stop; the first process of a container ignores SIGTERM otherwise."""

PROGRAM = """#!{python}
import io, json, sys, tarfile
from pathlib import Path

here = Path(__file__).parent
arguments = sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(arguments) + chr(10))
built = json.loads((here / "built.json").read_text())
if arguments == ["--inspect"]:
    print(json.dumps(built))
    sys.exit()
pairs = list(zip(arguments[::2], arguments[1::2]))
skipped = [value for flag, value in pairs if flag == "--skip"]
tags = [value for flag, value in pairs if flag == "--tag"]
if (here / "fail").exists():
    sys.stdout.buffer.write(bytes(3000000))
    sys.exit("the disk is gone")
layers = [f"{{one[7:]}}/layer.tar" for one in built["diff_ids"]]
manifest = [{{"Config": "config.json", "RepoTags": tags, "Layers": layers}}]
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
    def add(name, content):
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    for one in built["diff_ids"]:
        if one not in skipped:
            add(f"{{one[7:]}}/layer.tar", (here / one[7:]).read_bytes())
    add("config.json", (here / "config.json").read_bytes())
    add("manifest.json", json.dumps(manifest).encode())
"""


@dataclass
class BuiltImage:
    """An image in a "store", with what was asked of its program."""

    program: Path
    id: str
    diff_ids: list[str]

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of each run that wrote an archive."""
        calls = [json.loads(line) for line in (self.program.parent / "calls").read_text().splitlines()]
        return [call for call in calls if call != ["--inspect"]]


@dataclass
class Store:
    """Makes images and removes them from the daemon afterwards."""

    root: Path
    tag: str = field(default_factory=lambda: f"cog-nix-test:{uuid.uuid4().hex}")
    names: set[str] = field(default_factory=set)

    def build(self, *layers: dict[str, bytes], **config: Any) -> BuiltImage:
        """Write an image with one layer for each mapping of paths to contents."""
        folder = Path(self.root, uuid.uuid4().hex)
        folder.mkdir(parents=True)
        tars = [layer_tar(layer) for layer in layers]
        diff_ids = [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]
        for diff_id, tar in zip(diff_ids, tars, strict=True):
            (folder / diff_id[7:]).write_bytes(tar)
        document = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"run.cog.nix.lock": "test"}, **config},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        text = json.dumps(document).encode()
        (folder / "config.json").write_bytes(text)
        image_id = f"sha256:{hashlib.sha256(text).hexdigest()}"
        built = {
            "id": image_id,
            "diff_ids": diff_ids,
            "sizes": [len(tar) for tar in tars],
            "tags": [],
            "config": document,
        }
        (folder / "built.json").write_text(json.dumps(built))
        (folder / "calls").write_text("")
        program = folder / "image"
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)
        self.names |= {image_id}
        return BuiltImage(program, image_id, diff_ids)


def layer_tar(files: dict[str, bytes]) -> bytes:
    """Return a tar with these files, all executable, the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def remove_images(names: set[str]) -> None:
    client = docker.APIClient(version="auto")
    try:
        for name in names:
            try:
                client.remove_image(name, force=True)
            except docker.errors.APIError:
                continue  # it never was loaded
    finally:
        client.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A place for images of this test alone."""
    made = Store(tmp_path / "store")
    yield made
    remove_images(made.names)


@pytest.fixture
def runtime() -> Iterator[DockerRuntime]:
    """The daemon of this machine."""
    running = DockerRuntime()
    assert running.available() is None
    yield running
    running.close()


def programs(*names: str) -> dict[str, bytes]:
    """Return some of the host's programs and the libraries they need, as the files of a layer."""
    paths = {Path("/bin", name) for name in names}
    for path in list(paths):
        listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        paths |= {Path(found) for found in re.findall(r"(/\S+) \(0x", listed)}
    return {str(path).removeprefix("/"): path.read_bytes() for path in sorted(paths)}


@pytest.fixture(scope="session")
def shell_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image that holds a shell, ``sleep`` and ``stty``; its id."""
    made = Store(tmp_path_factory.mktemp("store"))
    layer = programs("sh", "sleep", "stty")
    image = made.build(layer, Env=["PATH=/bin"], Cmd=["sh", "-c", f"echo started; {IDLE}"])
    daemon = DockerRuntime()
    daemon.load(image.program, [], SilentReporter())
    yield image.id
    daemon.close()
    remove_images(made.names)


@pytest.fixture
def leftovers() -> Callable[[], list[str]]:
    """Return the names of containers that processes of this test left behind."""
    label = f"label=run.cog.nix.owner={os.getpid()}"

    def find(owner: int | None = None) -> list[str]:
        wanted = label if owner is None else f"label=run.cog.nix.owner={owner}"
        command = ["docker", "ps", "-a", "-q", "--filter", wanted]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    return find
