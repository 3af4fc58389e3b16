"""What goes over to real daemons when an image is loaded, and what is left of the one before it.

Docker's own store is that of this machine's daemon, containerd's that of newer Dockers on systems of their
own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import uuid
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import ImageError
from cog_nix.image.delta import OciImage
from cog_nix.report import SilentReporter
from cog_nix_hooks.docker import archive
from cog_nix_hooks.docker.archive import load_image
from cog_nix_hooks.docker.endpoint import Endpoint, find_endpoint
from cog_nix_hooks.docker.engine import Engine
from cog_nix_hooks.docker.failures import DaemonError
from cog_nix_hooks.docker.images import Images, Store
from tests.hooks.docker.daemons import SUITES, TCP_PORT, TLS_PORT, Daemon, daemon, ssh_server
from tests.hooks.docker.described import DescribedStore, compressed, layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.image.description import ImageDescription

pytestmark = pytest.mark.slow  # starts containers

_CONTAINERD = [
    pytest.param(suite, marks=[pytest.mark.root, pytest.mark.network, pytest.mark.docker], id=suite)
    for suite in SUITES
]


class Narration(SilentReporter):
    """Remembers what was sent and said."""

    def __init__(self) -> None:
        self.bars: list[str] = []
        self.said: list[str] = []

    def log(self, text: str) -> None:
        self.said.append(text)

    def bytes_bar(self, text: str, total: int | None) -> Any:
        self.bars.append(text)
        return super().bytes_bar(text, total)


@dataclass
class Place:
    """A daemon that images are loaded into, with names that only this test uses."""

    engine: Engine
    podman: bool = False
    daemon: Daemon | None = None
    tag: str = field(default_factory=lambda: f"cog-nix-test-{uuid.uuid4().hex}:1")
    ids: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    @property
    def images(self) -> Images:
        """What it holds."""
        return Images(self.engine, podman=self.podman)

    def load(self, image: ImageDescription, *tags: str) -> list[str]:
        """Load an image and return what was sent."""
        narration = Narration()
        held = load_image(self.images, image.path, tags or [self.tag], narration)
        self.ids.append(held)
        self.names += tags or [self.tag]
        return narration.bars

    def exported(self, reference: str) -> bytes:
        """Return what the daemon gives back of an image."""
        return self.engine._call("GET", f"/images/{reference}/get") or b""

    def holds(self, image: ImageDescription, reference: str) -> bool:
        """Whether a name stands for an image, and all its layers come back out of the daemon."""
        held = self.images.find(reference)
        if held is None or held.layers != image.diff_ids:
            return False
        with tarfile.open(fileobj=BytesIO(self.exported(reference))) as tar:
            sizes = sorted(member.size for member in tar if member.isreg())
        return all(layer.size in sizes for layer in image.layers)

    def create(self, reference: str) -> str:
        """Create a container, and return its id."""
        body = json.dumps({"Image": reference, "NetworkDisabled": True}).encode()
        headers = {"Content-Type": "application/json"}
        status, said = self.engine._send("POST", "/containers/create", body, headers)
        answer = json.loads(said)
        assert "Id" in answer, (status, answer)
        return str(answer["Id"])

    def clean(self) -> None:
        """Remove what the test loaded."""
        for reference in (*self.names, *self.ids):
            try:
                self.images.remove(reference)
            except DaemonError:
                continue
        self.engine.close()


@pytest.fixture(scope="session")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a function that starts a suite's Docker, once."""
    running: dict[str, Daemon] = {}
    with ExitStack() as stack:

        def start(suite: str) -> Daemon:
            if suite not in running:
                sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cog-nix-")))
                machine = tmp_path_factory.mktemp(suite) / "machine"
                running[suite] = stack.enter_context(daemon(suite, machine, sockets, tls=suite == "sid"))
            return running[suite]

        yield start


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DescribedStore:
    """A place for images of this test alone, and a memory of its own for what cannot be removed yet."""
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "nix/store").mkdir(parents=True)
    (tmp_path / "nix/var/nix/db").mkdir(parents=True)
    return DescribedStore(tmp_path / "nix/store")


def _place(kind: str, request: pytest.FixtureRequest) -> Place:
    if kind == "podman":
        return Place(Engine(Endpoint(request.getfixturevalue("podman_service"))), podman=True)
    if kind == "own":
        place = Place(Engine(find_endpoint()))
        if place.images.store is not Store.CHAINS:
            pytest.skip("the machine's own Docker has containerd's store")
        return place
    running: Daemon = request.getfixturevalue("daemons")(kind)
    place = Place(running.engine(), daemon=running)
    assert place.images.store is Store.BLOBS
    return place


@pytest.fixture(params=[pytest.param("own", marks=pytest.mark.docker), "podman", *_CONTAINERD])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Each store: Docker's own, Podman's, containerd's under each Docker."""
    made = _place(request.param, request)
    yield made
    made.clean()


@pytest.fixture(params=_CONTAINERD)
def containerd(request: pytest.FixtureRequest) -> Iterator[Place]:
    """containerd's store."""
    made = _place(request.param, request)
    yield made
    made.clean()


def test_nothing_is_sent_when_nothing_changed(place: Place, store: DescribedStore) -> None:
    image = store.build(layer("a"), layer("b"))
    assert place.load(image) == ["Loading the image"]
    assert place.load(image) == []
    assert place.holds(image, place.tag)


def test_only_the_layer_that_changed_is_sent(place: Place, store: DescribedStore) -> None:
    same = [layer("a"), layer("b", 200_000), layer("c")]
    first, second, third = (store.build(*same, layer("source")) for _ in range(3))
    place.load(first)
    assert place.load(second) == ["Loading 1 of 4 layers"]
    place.images.begin()
    assert place.load(third) == ["Loading 1 of 4 layers"]
    assert place.holds(third, place.tag)


def test_layers_of_another_image_are_left_out(place: Place, store: DescribedStore) -> None:
    same = layer("a"), layer("b")
    place.load(store.build(*same, layer("source")), place.tag)
    other = store.build(*same, layer("source"))
    assert place.load(other, f"{place.tag}-other") == ["Loading 1 of 3 layers"]
    assert place.holds(other, f"{place.tag}-other")


def test_a_layer_above_one_that_changed_is_sent_only_to_docker_s_own_store(
    place: Place, store: DescribedStore
) -> None:
    top = layer("top"), layer("source")
    place.load(store.build(layer("base"), *top))
    image = store.build(layer("base"), *top)
    chains = place.images.store is Store.CHAINS
    assert place.load(image) == ["Loading the image" if chains else "Loading 1 of 3 layers"]
    assert place.holds(image, place.tag)


def test_a_configuration_that_changed_sends_no_layer(place: Place, store: DescribedStore) -> None:
    same = layer("a"), layer("b")
    place.load(store.build(*same))
    image = store.build(*same, Env=["A=1"])
    assert place.load(image) == ["Loading 0 of 2 layers"]
    assert place.holds(image, place.tag)


def test_a_wrong_guess_is_mended_by_sending_everything(
    place: Place, store: DescribedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "held_layers", lambda target, _named: target.built.diff_ids[:-1])
    image = store.build(layer("a"), layer("b"), layer("c"))
    assert place.load(image) == ["Loading 1 of 3 layers", "Loading the image"]
    assert place.holds(image, place.tag)


def test_no_broken_name_stays_when_even_that_fails(
    place: Place, store: DescribedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "held_layers", lambda target, _named: target.built.diff_ids[:-1])
    image = store.build(layer("a"), layer("b"))
    for fragment in store.root.glob("*-layer0*/files.tar"):
        fragment.unlink()
    with pytest.raises(ImageError, match=r"The built image .* cannot be read: .*files\.tar"):
        place.load(image)
    assert [place.images.find(one) for one in (place.tag, image.id, OciImage(image).digest)] == [None] * 3


def test_an_image_is_named_anew_and_given_more_names(place: Place, store: DescribedStore) -> None:
    image = store.build(layer("a"), layer("b"))
    others = [f"{place.tag}-2", f"{place.tag}-3"]
    place.load(image)
    assert place.load(image, *others) == []
    edited = store.build(layer("a"), layer("b"))
    place.load(edited, *others)
    assert [place.images.find(name).id for name in (place.tag, *others)] == [  # type: ignore[union-attr]
        place.ids[0],
        place.ids[-1],
        place.ids[-1],
    ]
    assert place.holds(edited, others[-1])
    assert place.holds(image, place.tag)


def test_an_image_without_a_name_is_held_by_its_id(place: Place, store: DescribedStore) -> None:
    image = store.build(layer("a"))
    ids = {load_image(place.images, image.path, [], SilentReporter()) for _ in "12"}
    (held,) = ids
    place.ids.append(held)
    assert place.holds(image, held)


def test_images_that_were_removed_in_between_are_sent_again(place: Place, store: DescribedStore) -> None:
    image = store.build(layer("a"), layer("b"))
    place.load(image)
    place.images.remove(place.tag)
    assert place.images.find(place.ids[0]) is None
    assert place.load(image) == ["Loading the image"]
    assert place.holds(image, place.tag)


def test_the_image_that_lost_its_name_is_removed(place: Place, store: DescribedStore) -> None:
    same = layer("a")
    for _ in range(3):
        place.load(store.build(same, layer("source")))
    *former, last = place.ids
    assert [place.images.find(one) for one in former] == [None, None]
    assert place.images.find(last) is not None


def test_an_image_that_the_user_named_stays(place: Place, store: DescribedStore) -> None:
    same = layer("a")
    image = store.build(same, layer("source"))
    place.load(image)
    kept = f"{place.tag}-kept"
    place.images.tag(place.ids[0], kept)
    place.names.append(kept)
    for _ in range(2):
        place.load(store.build(same, layer("source")))
    assert place.holds(image, kept)
    assert place.images.find(place.ids[1]) is None


def test_an_image_of_somebody_else_loses_its_name_and_stays(place: Place, store: DescribedStore) -> None:
    place.load(store.build(layer("a"), Labels={"a": "b"}))
    theirs = place.images.find(place.ids[0])
    place.load(store.build(layer("a")))
    assert theirs is not None
    assert place.images.find(theirs.id) is not None


def test_an_image_in_use_is_removed_when_it_is_not_any_more(place: Place, store: DescribedStore) -> None:
    same = layer("a")
    place.load(store.build(same, layer("source")))
    container = place.create(place.tag)
    used = place.ids[0]
    for _ in range(2):
        place.load(store.build(same, layer("source")))
        assert place.images.find(used) is not None
    assert place.images.find(place.ids[1]) is None
    place.engine.delete(f"/containers/{container}")
    place.load(store.build(same, layer("source")))
    assert place.images.find(used) is None


@pytest.mark.parametrize("variants", [False, True])
def test_an_image_that_was_pulled_has_no_plain_layers_to_leave_out(
    containerd: Place, store: DescribedStore, *, variants: bool
) -> None:
    same = layer("a"), layer("b")
    pulled = store.build(*same, layer("source"))
    name = f"docker.io/library/{containerd.tag}"
    containerd.images.load([compressed(pulled, name, variants=variants)])
    image = store.build(*same, layer("source"))
    assert containerd.load(image) == ["Loading 1 of 3 layers", "Loading the image"]
    assert containerd.holds(image, containerd.tag)
    assert containerd.load(store.build(*same, layer("source"))) == ["Loading 1 of 3 layers"]


def test_the_same_image_that_was_pulled_is_replaced(containerd: Place, store: DescribedStore) -> None:
    image = store.build(layer("a"), layer("b"))
    containerd.images.load([compressed(image, f"docker.io/library/{containerd.tag}")])
    containerd.load(image)
    assert containerd.holds(image, containerd.tag)


@pytest.mark.parametrize("unpacked", [True, False])
def test_what_a_killed_load_left_is_mended(
    containerd: Place, store: DescribedStore, *, unpacked: bool
) -> None:
    image = store.build(layer("a"), layer("b"))
    if unpacked:  # then it runs, and nothing but the missing blobs tells
        containerd.images.load([compressed(image, f"docker.io/library/{containerd.tag}-pulled")])
        containerd.names.append(f"{containerd.tag}-pulled")
    parts = OciImage(image).archive(image.diff_ids)
    broken = OciImage(image).digest
    with suppress(DaemonError):  # which leaves the image all the same; Docker 28 does not even say so
        containerd.images.load(parts)
    containerd.images.tag(broken, containerd.tag)
    assert not containerd.holds(image, containerd.tag)
    assert containerd.load(image)[-1] == "Loading the image"
    assert containerd.holds(image, containerd.tag)


def test_docker_s_prune_takes_nothing_that_is_needed(containerd: Place, store: DescribedStore) -> None:
    same = layer("a"), layer("b")
    containerd.load(store.build(*same, layer("source")))
    image = store.build(*same, layer("source"))
    containerd.load(image)
    assert containerd.daemon
    containerd.daemon.docker("system", "prune", "--force")
    assert containerd.load(image) == []
    assert containerd.holds(image, containerd.tag)
    assert containerd.load(store.build(*same, layer("source"))) == ["Loading 1 of 3 layers"]


@pytest.fixture
def elsewhere(
    request: pytest.FixtureRequest, daemons: Any, tmp_path: Path
) -> Iterator[tuple[Daemon, dict[str, str]]]:
    """A daemon, and the variables under which it is reached another way than by its socket."""
    if request.param == "tls":
        running = daemons("sid")
        variables = {"DOCKER_HOST": f"tcp://127.0.0.1:{TLS_PORT}", "DOCKER_TLS_VERIFY": "1"}
        yield running, {**variables, "DOCKER_CERT_PATH": str(running.certificates)}
        return
    running = daemons("trixie")
    if request.param == "tcp":
        yield running, {"DOCKER_HOST": f"tcp://127.0.0.1:{TCP_PORT}"}
        return
    with ssh_server(running, tmp_path) as programs:
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        yield running, {"DOCKER_HOST": "ssh://root@127.0.0.1", "PATH": path}


@pytest.mark.root
@pytest.mark.network
@pytest.mark.parametrize("elsewhere", ["tcp", "tls", "ssh"], indirect=True)
def test_a_daemon_elsewhere_is_sent_no_more(
    elsewhere: tuple[Daemon, dict[str, str]], store: DescribedStore
) -> None:
    running, variables = elsewhere
    place = Place(running.engine(), daemon=running)
    environ = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(sys.path)}
    same = layer("a", 3_000_000), layer("b")
    images = [store.build(*same, layer("source")) for _ in range(2)]
    sent = []
    for image in (*images, images[-1]):
        command = [sys.executable, "-m", "cog_nix", "load", str(image.path), "--tag", place.tag]
        done = subprocess.run(
            running.inside([*command, "--runtime", "docker"]),
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        sent.append([line.split(":")[0].strip() for line in done.stderr.splitlines() if "Loading" in line])
    assert sent == [["Loading the image"], ["Loading 1 of 3 layers"], []]
    assert place.holds(images[-1], place.tag)
    place.names.append(place.tag)
    place.clean()


def test_a_name_stays_with_the_image_before_when_the_new_one_cannot_be_loaded(
    place: Place, store: DescribedStore
) -> None:
    same = layer("a")
    image = store.build(same, layer("source"))
    place.load(image)
    broken = store.build(same, layer("source"))
    for fragment in store.root.glob("*-layer1*/files.tar"):
        if any(str(fragment) == f"{store.root}{part.path[10:]}" for part in broken.layers[1].parts):
            fragment.unlink()
    with pytest.raises(ImageError):
        place.load(broken)
    assert place.holds(image, place.tag)
