"""Large files of a project in each runtime: they are there, and where nothing needs a copy there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import ImageError
from cog_nix.image.project_files import FileChangedError
from cog_nix.plugins.spec import ContainerRequest
from cog_nix.project.large import LEAST
from cog_nix.report import SilentReporter
from cog_nix_hooks.bundle.runtime import BundleRuntime
from tests.image.outside import described
from tests.runtimes.test_streams import converse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cog_nix.image.description import ImageDescription
    from cog_nix.plugins.spec import Container, Runtime

IMAGE = "cog-nix-test-large-files:latest"
CONTENT = b"the weights"
SCRIPT = (
    "cat /src/model/a.bin | head -c 11; ls -ln /src/model; echo x > /src/new; ls /src; "
    "(echo x > /src/model/a.bin) 2> /dev/null || echo kept"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two large files."""
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "project folder"
    (root / "model").mkdir(parents=True)
    for name in ("a.bin", "b.bin"):
        (root / "model" / name).write_bytes(CONTENT + name.encode())
        os.truncate(root / "model" / name, LEAST)
    return root


@pytest.fixture
def build(project: Path, tmp_path: Path, base: dict[str, bytes]) -> Callable[[], ImageDescription]:
    def build() -> ImageDescription:
        tools = {**base, **programs("head", "ls", "cat")}
        return described(project, tmp_path / "store", below=(tools,), Env=["PATH=/bin"], WorkingDir="/src")

    return build


def programs(*names: str) -> dict[str, bytes]:
    from tests.hooks.docker.conftest import programs as of  # noqa: PLC0415 - a name of its own here

    return of(*names)


def request(script: str, *, interactive: bool = False) -> ContainerRequest:
    return ContainerRequest(IMAGE, command=("sh", "-c", script), interactive=interactive)


def test_they_are_bound_and_not_copied(
    runtime: BundleRuntime,
    build: Callable[[], ImageDescription],
    finished: Callable[[Container], tuple[int, str]],
    tmp_path: Path,
) -> None:
    image = build()
    runtime.load(image.path, [IMAGE], SilentReporter())
    layer = runtime._store.layers.folder(image.diff_ids[-1])
    assert sum(path.stat().st_blocks for path in layer.rglob("*.bin")) == 0
    status, said = finished(runtime.start(request(SCRIPT)))
    assert said.startswith("the weights")
    assert said.count(f" {LEAST} ") == 2
    assert "new" in said
    assert said.rstrip().endswith("kept")
    assert status == 0
    assert (tmp_path / "project folder/model/a.bin").read_bytes()[:11] == CONTENT


@pytest.fixture
def cloning(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system whose files can share blocks."""
    assert shutil.which("mkfs.btrfs"), (
        "Debian's package btrfs-progs is missing: scripts/setup test installs it"
    )
    folder, device = tmp_path / "btrfs", tmp_path / "device"
    folder.mkdir()
    device.touch()
    os.truncate(device, 256 << 20)
    subprocess.run(["mkfs.btrfs", "-q", device], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", device, folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)  # somebody may look at it


def _used(folder: Path) -> int:
    """Return the bytes that a file system holds."""
    os.sync()
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


@pytest.mark.root
def test_they_share_blocks_where_the_file_system_can(
    cloning: Path, monkeypatch: pytest.MonkeyPatch, base: dict[str, bytes]
) -> None:
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(cloning / "cache"))
    project = cloning / "project"
    project.mkdir()
    content = os.urandom(4 * LEAST)
    (project / "a.bin").write_bytes(content)
    image = described(project, cloning / "store", below=(base,))
    before = _used(cloning)
    runtime = BundleRuntime(cloning / "bundle")
    runtime.load(image.path, [IMAGE], SilentReporter())
    grown = _used(cloning) - before
    unpacked = runtime._store.layers.folder(image.diff_ids[-1]) / "src/a.bin"
    assert unpacked.read_bytes() == content
    assert grown < 2 * sum(map(len, base.values())) + len(content) // 2
    (project / "a.bin").write_bytes(bytes(len(content)))
    assert unpacked.read_bytes() == content, "a clone keeps what it was"
    assert runtime.image_id(IMAGE) == image.id


def test_an_image_whose_files_changed_is_gone_until_it_is_built_again(
    runtime: BundleRuntime,
    build: Callable[[], ImageDescription],
    project: Path,
    finished: Callable[[Container], tuple[int, str]],
) -> None:
    first = build()
    runtime.load(first.path, [IMAGE], SilentReporter())
    held = runtime.held(IMAGE)
    assert held
    assert {str(project / "model" / name) for name in ("a.bin", "b.bin")} < set(held.read)
    (project / "model/b.bin").write_bytes(bytes(LEAST))
    assert runtime.image_id(IMAGE) is None
    with pytest.raises(FileChangedError, match=r"model/b\.bin has changed since the image was built"):
        runtime.pull(IMAGE, SilentReporter())
    with pytest.raises(ImageError):
        runtime.load(first.path, [IMAGE], SilentReporter())
    second = build()
    assert runtime.load(second.path, [IMAGE], SilentReporter()) == second.id
    assert finished(runtime.start(request("ls /src/model")))[1].split() == ["a.bin", "b.bin"]


def test_a_project_that_was_moved_is_bound_anew(
    runtime: BundleRuntime,
    build: Callable[[], ImageDescription],
    project: Path,
    tmp_path: Path,
    finished: Callable[[Container], tuple[int, str]],
) -> None:
    image = build()
    runtime.load(image.path, [IMAGE], SilentReporter())
    moved = project.rename(tmp_path / "moved")
    assert runtime.image_id(IMAGE) is None
    described(moved, tmp_path / "store")
    runtime.load(image.path, [IMAGE], SilentReporter())
    assert (
        finished(runtime.start(request("cat /src/model/a.bin | head -c 11")))[1].strip() == CONTENT.decode()
    )


@pytest.mark.root
def test_what_others_may_not_read_is_copied(
    runtime: BundleRuntime, build: Callable[[], ImageDescription], project: Path
) -> None:
    (project / "model/a.bin").chmod(0o600)
    image = build()
    runtime.load(image.path, [IMAGE], SilentReporter())
    layer = runtime._store.layers.folder(image.diff_ids[-1])
    assert (layer / "src/model/a.bin").read_bytes()[:11] == CONTENT


@pytest.mark.docker
def test_daemons_get_them_once(
    anywhere: Runtime, build: Callable[[], ImageDescription], project: Path
) -> None:
    image = build()
    try:
        anywhere.load(image.path, [IMAGE], SilentReporter())
        (project / "model/b.bin").write_bytes(bytes(LEAST))
        second = build()
        assert anywhere.load(second.path, [IMAGE], SilentReporter()) != image.id
        status, said, _ = converse(anywhere, request(SCRIPT, interactive=True), None)
        assert status == 0
        assert said.startswith(CONTENT)
    finally:
        subprocess.run(["docker", "rmi", "-f", IMAGE], check=False, capture_output=True)
