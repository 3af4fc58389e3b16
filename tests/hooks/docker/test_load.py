"""Loading images into a real daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn, Self

import docker
import pytest

from cog_nix.errors import ImageError
from cog_nix.image.description import with_tag
from cog_nix.report import SilentReporter
from cog_nix_hooks.docker import archive, provide_runtime

if TYPE_CHECKING:
    from cog_nix_hooks.docker.runtime import DockerRuntime

    from .conftest import Store

pytestmark = pytest.mark.docker

QUIET = SilentReporter()


def layer(name: str) -> dict[str, bytes]:
    """A layer that no other test run shares."""
    return {name: os.urandom(1000)}


@pytest.fixture
def overlay_only() -> None:
    """Skip where the daemon keeps images in containerd: everything is always sent there."""
    client = docker.APIClient(version="auto")
    status = client.info()["DriverStatus"] or []
    client.close()
    if ["driver-type", "io.containerd.snapshotter.v1"] in status:
        pytest.skip("containerd image store")


def test_an_image_is_loaded_once_and_tagged(runtime: DockerRuntime, store: Store) -> None:
    image = store.build(layer("a"), layer("b"))
    assert runtime.image_id(store.tag) is None
    assert runtime.load(image.program, [store.tag], QUIET) == runtime.image_id(store.tag)
    assert runtime.image_labels(store.tag) == {"run.cog.nix.lock": "test"}
    assert image.calls == [["--tag", store.tag]]


@pytest.mark.usefixtures("overlay_only")
def test_a_held_image_is_only_tagged(runtime: DockerRuntime, store: Store) -> None:
    image = store.build(layer("a"))
    assert runtime.load(image.program, [], QUIET) == image.id
    assert runtime.load(image.program, [store.tag, f"{store.tag}-2"], QUIET) == image.id
    assert runtime.image_id(store.tag) == runtime.image_id(f"{store.tag}-2") == image.id
    assert len(image.calls) == 1


@pytest.mark.usefixtures("overlay_only")
@pytest.mark.parametrize("known_by", ["tag", "label"])
def test_layers_that_the_daemon_holds_are_left_out(
    runtime: DockerRuntime, store: Store, known_by: str
) -> None:
    low, middle = layer("low"), layer("middle")
    runtime.load(store.build(low, middle, layer("old")).program, [store.tag], QUIET)
    image = store.build(low, middle, layer("new"), layer("newer"))
    tag = store.tag if known_by == "tag" else f"{store.tag}-other"
    assert runtime.load(image.program, [tag], QUIET) == image.id
    skipped = [option for diff_id in image.diff_ids[:2] for option in ("--skip", diff_id)]
    assert image.calls == [[*skipped, "--tag", tag]]
    assert runtime.image_id(tag) == image.id


@pytest.mark.usefixtures("overlay_only")
def test_a_layer_above_a_changed_one_is_sent_again(runtime: DockerRuntime, store: Store) -> None:
    top = layer("top")
    runtime.load(store.build(layer("old"), top).program, [store.tag], QUIET)
    image = store.build(layer("new"), top)
    runtime.load(image.program, [store.tag], QUIET)
    assert image.calls == [["--tag", store.tag]]


@pytest.mark.usefixtures("overlay_only")
def test_a_new_configuration_sends_no_layer(runtime: DockerRuntime, store: Store) -> None:
    same = layer("a")
    runtime.load(store.build(same).program, [store.tag], QUIET)
    image = store.build(same, Env=["A=1"])
    assert runtime.load(image.program, [store.tag], QUIET) == image.id
    assert image.calls == [["--skip", image.diff_ids[0], "--tag", store.tag]]


@pytest.mark.usefixtures("overlay_only")
def test_all_layers_are_sent_when_the_daemon_refuses_some(
    runtime: DockerRuntime, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "held_layers", lambda target, _named: target.built.diff_ids[:1])
    image = store.build(layer("never-loaded"), layer("b"))
    assert runtime.load(image.program, [store.tag], QUIET) == image.id
    assert [call[0] for call in image.calls] == ["--skip", "--tag"]


class Counting(SilentReporter):
    """Remembers bars."""

    def __init__(self) -> None:
        self.bars: list[list[Any]] = []

    def bytes_bar(self, text: str, total: int | None) -> Any:
        bar: list[Any] = [text, total, 0]
        self.bars.append(bar)
        context = super().bytes_bar(text, total)

        class Bar:
            def __enter__(self) -> Self:
                context.__enter__()
                return self

            def __exit__(self, *exc: object) -> None:
                context.__exit__(None, None, None)

            def advance(self, amount: int) -> None:
                bar[2] += amount

        return Bar()


def test_the_bar_counts_what_is_sent(runtime: DockerRuntime, store: Store) -> None:
    image = store.build(layer("a"), {"big": os.urandom(2_500_000)})
    reporter = Counting()
    runtime.load(image.program, [store.tag], reporter)
    ((text, total, sent),) = reporter.bars
    assert text == "Loading the image"
    assert 2_500_000 < total <= sent < total + 20_000


def test_a_program_that_fails_half_way_loads_nothing(runtime: DockerRuntime, store: Store) -> None:
    image = store.build(layer("a"))
    (image.program.parent / "fail").touch()
    with pytest.raises(
        ImageError, match=r"The built image .*/image cannot be read: the disk is gone"
    ) as caught:
        runtime.load(image.program, [store.tag], QUIET)
    assert caught.value.hint == "Build it again."
    assert runtime.image_id(store.tag) is None


@pytest.mark.parametrize("content", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\necho '{}'\n", "no program"])
def test_a_program_that_cannot_say_what_it_is(runtime: DockerRuntime, store: Store, content: str) -> None:
    image = store.build(layer("a"))
    image.program.write_text(content)
    with pytest.raises(ImageError, match="cannot be read"):
        runtime.load(image.program, [store.tag], QUIET)


def test_a_daemon_that_ends_up_with_other_layers(runtime: DockerRuntime, store: Store) -> None:
    image = store.build(layer("a"))
    other = store.build(layer("b"))
    built = image.program.parent / "built.json"
    told = built.read_text()
    for name in (image.diff_ids[0][7:], "config.json"):
        source = other.program.parent / (other.diff_ids[0][7:] if name != "config.json" else name)
        (image.program.parent / name).write_bytes(source.read_bytes())
    built.write_text(told)
    with pytest.raises(ImageError, match=f"Docker does not hold {image.id} after loading it"):
        runtime.load(image.program, [], QUIET)


def test_an_image_that_nobody_holds(runtime: DockerRuntime, store: Store) -> None:
    with pytest.raises(ImageError, match=f"Docker holds no image {store.tag}") as caught:
        runtime.image_labels(store.tag)
    assert f"docker pull {store.tag}" in caught.value.hint
    with pytest.raises(ImageError, match="cannot look up the image"):
        runtime.image_id("UPPER CASE")


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("model", "model:latest"),
        ("model:v1", "model:v1"),
        ("registry.example.org:5000/me/model", "registry.example.org:5000/me/model:latest"),
        ("registry.example.org:5000/me/model:v1", "registry.example.org:5000/me/model:v1"),
    ],
)
def test_a_name_gets_its_tag(name: str, full: str) -> None:
    assert with_tag(name) == full


@pytest.mark.parametrize(("name", "offered"), [("docker", True), ("podman", True), ("other", False)])
def test_docker_and_podman_are_offered_by_name(name: str, *, offered: bool) -> None:
    assert (provide_runtime(name=name) is not None) is offered


@pytest.mark.usefixtures("overlay_only")
def test_an_archive_begins_before_it_is_there(runtime: DockerRuntime, store: Store) -> None:
    low = layer("low")
    runtime.load(store.build(low, layer("old")).program, [store.tag], QUIET)
    image = store.build(low, layer("new"))
    runtime.expect(store.tag)
    assert _is_expecting(runtime)
    assert runtime.load(image.program, [store.tag], QUIET) == image.id == runtime.image_id(store.tag)
    assert not _is_expecting(runtime)
    assert image.calls == [["--skip", image.diff_ids[0], "--tag", store.tag]]


@pytest.mark.usefixtures("overlay_only")
def test_an_archive_that_never_comes_changes_nothing(runtime: DockerRuntime, store: Store) -> None:
    former = runtime.load(store.build(layer("a")).program, [store.tag], QUIET)
    runtime.expect(store.tag)
    runtime.close()
    assert not _is_expecting(runtime)
    assert runtime.image_id(store.tag) == former


@pytest.mark.usefixtures("overlay_only")
def test_an_expected_image_that_is_held_is_only_tagged(runtime: DockerRuntime, store: Store) -> None:
    held = store.build(layer("a"))
    runtime.load(held.program, [f"{store.tag}-2"], QUIET)
    runtime.load(store.build(layer("b")).program, [store.tag], QUIET)
    runtime.expect(store.tag)
    assert runtime.load(held.program, [store.tag], QUIET) == held.id == runtime.image_id(store.tag)


def test_a_name_that_another_image_got_meanwhile_is_given_back(runtime: DockerRuntime, store: Store) -> None:
    same, other = store.build(layer("a")), store.build(layer("b"))
    held = runtime.load(same.program, [store.tag], QUIET)
    runtime.expect(store.tag)
    another = provide_runtime("docker")
    assert another
    another.load(other.program, [store.tag], QUIET)
    assert runtime.load(same.program, [store.tag], QUIET) == held == runtime.image_id(store.tag)


def test_what_was_just_loaded_is_known_without_asking_once(runtime: DockerRuntime, store: Store) -> None:
    loaded = runtime.load(store.build(layer("a")).program, [store.tag], QUIET)
    runtime._engine._send = _unasked
    found = runtime.held(store.tag)
    assert found
    assert found.id == loaded
    with pytest.raises(AssertionError):
        runtime.held(store.tag)


def _unasked(*_: object) -> NoReturn:
    raise AssertionError


def test_nothing_is_expected_where_no_image_has_the_name(runtime: DockerRuntime, store: Store) -> None:
    runtime.expect(store.tag)
    assert not _is_expecting(runtime)


def _is_expecting(runtime: DockerRuntime) -> bool:
    return runtime._engine._pending is not None
