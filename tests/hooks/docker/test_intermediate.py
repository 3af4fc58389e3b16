"""Large images, sent to Docker as images that grow."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from typing import TYPE_CHECKING, Any

import docker
import pytest

from cog_nix.image.pieces import read
from cog_nix.report import SilentReporter
from cog_nix_hooks.docker import intermediate
from cog_nix_hooks.docker.failures import DaemonError
from tests.hooks.docker.described import DescribedStore, layer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cog_nix.image.description import ImageDescription
    from cog_nix.image.pieces import Piece
    from cog_nix_hooks.docker.runtime import DockerRuntime
    from tests.hooks.docker.conftest import Store


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intermediate, "_STAGE", 5_000)
    monkeypatch.setattr(intermediate, "_WORTH", 20_000)


@pytest.fixture
def image(tmp_path: Path) -> ImageDescription:
    """Return an image of five layers."""
    sizes = (1_000, 6_000, 1_000, 9_000, 9_000)
    return DescribedStore(tmp_path).build(*(layer(f"file{size}", size) for size in sizes))


class _Daemon:
    """Holds images as Docker's own store does: a layer that was left out has to be there."""

    local = True

    def __init__(self, refuse: int = -1) -> None:
        self.loaded: list[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = []
        self.removed: list[str] = []
        self.begun = 0
        self._refuse = refuse
        self._second = threading.Event()

    def load(self, archive: Iterable[Piece]) -> list[dict[str, Any]]:
        self.begun += 1
        if self.begun == 1:
            assert self._second.wait(30), "the next one is sent meanwhile"
        self._second.set()
        data = b"".join(read(archive))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            sent = tuple(name for name in tar.getnames() if name.endswith(".tar"))
            (described,) = json.load(tar.extractfile("manifest.json") or io.BytesIO())
        if len(self.loaded) == self._refuse:
            raise DaemonError("no")
        there = {one for _, layers, _ in self.loaded for one in layers}
        assert set(described["Layers"]) <= there | set(sent)
        self.loaded.append((sent, tuple(described["Layers"]), tuple(described["RepoTags"])))
        return [{"stream": described["Config"]}]

    def remove(self, reference: str) -> None:
        self.removed.append(reference)


def _load(daemon: _Daemon, image: ImageDescription, *skip: str) -> list[dict[str, Any]]:
    growing = intermediate.split(image, skip)
    return intermediate.load(daemon, growing, ["x:1"], skip, lambda archive: archive)  # type: ignore[arg-type]


def test_an_image_grows_by_layers_that_are_worth_a_request(image: ImageDescription) -> None:
    assert [len(one.layers) for one in intermediate.split(image, ())] == [2, 4, 5]
    assert intermediate.split(image, ())[-1] is image
    lower = image.diff_ids[:2]
    assert [len(one.layers) for one in intermediate.split(image, lower)] == [4, 5], (
        "what is not sent does not count"
    )
    assert intermediate.split(image, image.diff_ids[:4]) == [image], "little is sent at once"


def test_each_layer_is_sent_once_and_the_last_image_alone_stays(image: ImageDescription) -> None:
    daemon = _Daemon()
    said = _load(daemon, image)
    assert [len(sent) for sent, _, _ in daemon.loaded] == [2, 2, 1]
    assert [tags for _, _, tags in daemon.loaded] == [(), (), ("x:1",)]
    assert said == [{"stream": f"{image.id.removeprefix('sha256:')}.json"}]
    assert set(daemon.removed) > {one.id for one in intermediate.split(image, ())[:-1]}
    assert image.id not in daemon.removed


def test_layers_that_are_held_are_left_out(image: ImageDescription) -> None:
    daemon = _Daemon()
    with pytest.raises(AssertionError):
        _load(daemon, image, *image.diff_ids[:2])  # this daemon has nothing
    assert daemon.loaded == []


@pytest.mark.parametrize("which", range(3))
def test_what_the_daemon_refuses_ends_it_and_leaves_nothing(image: ImageDescription, which: int) -> None:
    daemon = _Daemon(which)
    with pytest.raises(DaemonError, match="no"):
        _load(daemon, image)
    assert len(daemon.loaded) == which
    assert set(daemon.removed) > {one.id for one in intermediate.split(image, ())[:-1]}
    assert image.id not in daemon.removed


@pytest.mark.docker
def test_docker_holds_the_image_and_none_of_those_that_it_grew_from(
    runtime: DockerRuntime, image: ImageDescription, store: Store
) -> None:
    growing = [one.id for one in intermediate.split(image, ())[:-1]]
    runtime.load(image.path, [store.tag], SilentReporter())
    client = docker.APIClient(version="auto")
    try:
        held = client.inspect_image(store.tag)  # type: ignore[no-untyped-call]
        assert held["RootFS"]["Layers"] == list(image.diff_ids)
        assert not {one["Id"] for one in client.images(all=True)} & set(growing)
    finally:
        client.close()
