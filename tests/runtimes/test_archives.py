"""Images from archives, as ``cog-nix load`` hands them to each runtime."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import ImageError
from cog_nix.image import archive_program
from cog_nix.plugins.spec import ListedRuntime, SavingRuntime
from cog_nix.report import SilentReporter
from cog_nix_hooks.bundle.runtime import BundleRuntime
from cog_nix_hooks.docker.runtime import DockerRuntime
from tests.runtimes.test_streams import converse
from tests.runtimes.test_streams import shell as request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.plugins.spec import Runtime

pytestmark = pytest.mark.slow  # starts containers

IMAGE = "cog-nix-test-streams"
COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data[:512], 1) + gzip.compress(data[512:], 1),
    "zstandard": lambda data: subprocess.check_output(["zstd", "-q", "-c"], input=data),
}


def saved(program: Path, folder: Path, compression: str) -> Path:
    """Write a Docker archive whose layers are compressed; return the program that stands for it."""
    path = folder / "image.tar"
    plain = io.BytesIO(subprocess.check_output([program]))
    with tarfile.open(fileobj=plain) as old, tarfile.open(path, "w") as new:
        for member in old:
            stream = old.extractfile(member)
            data = stream.read() if stream else b""
            if member.name.endswith(".tar"):
                data = COMPRESSED[compression](data)
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return archive_program.program(path, folder)


@pytest.mark.parametrize("compression", ["plain", "gzip"])
def test_an_archive_is_the_image(anywhere: Runtime, shell: Path, tmp_path: Path, compression: str) -> None:
    expected = anywhere.image_id(IMAGE)
    archive = saved(shell, tmp_path, compression)
    loaded = anywhere.load(archive, [f"{IMAGE}:{compression}"], SilentReporter())
    assert loaded == expected == anywhere.image_id(f"{IMAGE}:{compression}")
    assert converse(anywhere, request("echo $A"), b"") == (0, b"image\n", b"")


def test_an_image_that_a_runtime_gives_back_is_the_image(
    anywhere: Runtime, shell: Path, tmp_path: Path
) -> None:
    if not isinstance(anywhere, SavingRuntime):
        assert isinstance(anywhere, BundleRuntime), "which keeps layers unpacked"
        return
    expected = json.loads(subprocess.check_output([shell, "--inspect"]))
    anywhere.save(IMAGE, tmp_path / "image.tar")
    with archive_program.opened(tmp_path / "image.tar") as archive:
        found = archive.described()
        sink = io.BytesIO()
        archive_program.write(archive, sink, [IMAGE], frozenset())  # which compares digests
    assert (found["id"], list(found["diff_ids"])) == (expected["id"], expected["diff_ids"])
    attributes = anywhere.image_attributes(IMAGE)  # type: ignore[attr-defined]
    assert attributes["RootFS"]["Layers"] == expected["diff_ids"]


def test_a_runtime_tells_the_layers_of_its_images(anywhere: Runtime, shell: Path) -> None:
    expected = json.loads(subprocess.check_output([shell, "--inspect"]))["diff_ids"]
    assert isinstance(anywhere, ListedRuntime)
    found = {name: list(layers) for name, layers in anywhere.held_layers().items() if IMAGE in name}
    assert found
    assert all(layers == expected for layers in found.values())


def test_saving_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="holds no image"):
        DockerRuntime().save("cog-nix-test-nothing", tmp_path / "image.tar")
    assert not (tmp_path / "image.tar").exists()


@pytest.mark.parametrize("compression", ["plain", "gzip", "zstandard"])
def test_layers_come_out_of_an_archive(shell: Path, tmp_path: Path, compression: str) -> None:
    made = BundleRuntime(tmp_path / "bundle")
    archive = saved(shell, tmp_path, compression)
    said = json.loads(subprocess.check_output([archive, "--inspect"]))
    assert made.load(archive, [IMAGE], SilentReporter()) == said["id"]
    assert made.find(IMAGE).config["WorkingDir"] == "/src"
    for diff_id in said["diff_ids"]:
        assert made._store.layers.has(diff_id)
