"""Blobs that are brought to a registry as they come."""

from __future__ import annotations

import functools
import json
import threading
import uuid
from collections import deque
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.cli import push as push_command
from cog_nix.cli import pushing
from cog_nix.cli.session import Session
from cog_nix.errors import RegistryError
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.image.description import blob_file
from cog_nix.plugins import manager as plugins
from cog_nix.registry import layout
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.destination import Destination
from cog_nix.registry.memory import Memory
from cog_nix.registry.push import begin, push
from cog_nix.registry.reference import Reference
from cog_nix.registry.upload import Blob
from cog_nix.report import SilentReporter
from conftest import EXAMPLES, copy_project
from tests.registry.conftest import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cog_nix.registry.delivery import Delivery
    from cog_nix.registry.layout import Layout
    from cog_nix.registry.push import Pushed

ALI = Credentials("ali", "tr0ub4dor")


class _Bar:
    def __init__(self) -> None:
        self.done = self.total = 0

    def advance(self, amount: int) -> None:
        self.done += amount

    def describe(self, text: str) -> None:
        """Show nothing."""

    def expect(self, total: int) -> None:
        self.total = total


class _Reporter(SilentReporter):
    def __init__(self) -> None:
        self.bar = _Bar()

    @contextmanager
    def bytes_bar(self, text: str, total: int | None) -> Iterator[_Bar]:  # noqa: ARG002 - a reporter's signature
        yield self.bar


@pytest.fixture
def image(make_layout: Callable[..., Path]) -> Layout:
    """Return an image of three layers."""
    return layout.read(make_layout(b"one", b"two", b"three"))


@pytest.fixture
def target(faulty: Any) -> Destination:
    """Return where it goes."""
    reference = Reference.parse(f"{faulty.host}/me/model:v1")
    return Destination(str(reference), reference)


@pytest.fixture
def delivery(target: Destination, tmp_path: Path) -> Iterator[Delivery]:
    """Yield what brings blobs there."""
    with begin(target, ALI, cache=tmp_path, policy=RetryPolicy(attempts=2, delay=0.01)) as made:
        yield made


def _finish(
    image: Layout, target: Destination, delivery: Delivery, cache: Path, reporter: Any = None
) -> Pushed:
    return push(image, target, delivery, cache=cache, reporter=reporter or SilentReporter())


def _wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        threading.Event().wait(0.01)
    pytest.fail("it did not come")


def test_a_blob_is_there_before_the_others_are_made(
    faulty: Any, image: Layout, target: Destination, delivery: Delivery, tmp_path: Path
) -> None:
    first, *_ = image.blobs
    delivery.take(first)
    _wait_for(lambda: ("me/model", first.digest) in faulty.blobs)
    assert not faulty.manifests
    assert _finish(image, target, delivery, tmp_path).total("uploaded")[0] == 4
    assert faulty.log.count("POST /v2/me/model/blobs/uploads/") == 4
    assert "me/model:v1" in faulty.manifests


def test_what_is_taken_twice_goes_once(
    faulty: Any, image: Layout, target: Destination, delivery: Delivery, tmp_path: Path
) -> None:
    for blob in (*image.blobs, *image.blobs):
        delivery.take(blob)
    _finish(image, target, delivery, tmp_path)
    assert faulty.log.count("POST /v2/me/model/blobs/uploads/") == 4


def test_the_bar_has_what_is_left(
    image: Layout, target: Destination, delivery: Delivery, tmp_path: Path
) -> None:
    first, *rest = image.blobs
    delivery.take(first)
    _wait_for(lambda: first.digest in delivery.outcomes)
    reporter = _Reporter()
    _finish(image, target, delivery, tmp_path, reporter)
    assert reporter.bar.total == reporter.bar.done == sum(blob.size for blob in rest)


def test_what_is_there_is_not_uploaded(
    faulty: Any, image: Layout, target: Destination, delivery: Delivery, tmp_path: Path
) -> None:
    first, *_ = image.blobs
    assert first.content
    faulty.blobs["me/model", first.digest] = b""
    delivery.take(first)
    assert _finish(image, target, delivery, tmp_path).blobs[first.digest] == "there"


def test_an_image_that_is_there_waits_for_what_was_taken(
    image: Layout, target: Destination, delivery: Delivery, tmp_path: Path
) -> None:
    _finish(image, target, delivery, tmp_path)
    with begin(target, ALI, cache=tmp_path) as again:
        again.take(image.blobs[0])
        assert _finish(image, target, again, tmp_path).total("there")[0] == 4
        assert set(again.outcomes) == {image.blobs[0].digest}


def test_a_refusal_is_raised_where_the_next_one_comes(faulty: Any, delivery: Delivery) -> None:
    faulty.answers["HEAD"] = deque([(403, {})])

    numbers = count()

    def take() -> bool:
        delivery.take(Blob(f"sha256:{next(numbers)}", 1, b"x"))
        return False

    with pytest.raises(RegistryError) as error:
        _wait_for(take)
    assert error.value.status == 403
    assert not faulty.blobs


def test_who_gives_up_leaves_no_threads(
    faulty: Any, image: Layout, target: Destination, tmp_path: Path
) -> None:
    faulty.answers["HEAD"] = deque([(503, {})] * 99)
    delivery = begin(target, ALI, cache=tmp_path)
    before = set(threading.enumerate())
    delivery.take(image.blobs[0])
    with suppress(KeyboardInterrupt), delivery:
        raise KeyboardInterrupt
    assert not [one for one in threading.enumerate() if one not in before and "_work" in one.name]
    assert not faulty.blobs


def test_other_repositories_are_mounted_with_a_token_that_says_so(
    faulty: Any, image: Layout, target: Destination, tmp_path: Path
) -> None:
    first, second, *_ = image.blobs
    other = Reference.parse(f"{faulty.host}/me/other:v1")
    faulty.blobs["me/other", second.digest] = b"x"
    Memory(tmp_path, faulty.host).add(other, [second.digest])
    faulty.tokens.extend(["one", "two"])
    with begin(target, ALI, cache=tmp_path) as delivery:
        delivery.take(first)
        _wait_for(lambda: first.digest in delivery.outcomes)
        delivery.take(second)
        _finish(image, target, delivery, tmp_path)
        assert delivery.outcomes[second.digest] == "mounted"
    assert [one["scope"] for one in faulty.asked] == [
        ["repository:me/model:pull,push"],
        ["repository:me/model:pull,push", "repository:me/other:pull"],
    ]


def test_what_nix_makes_of_layers_is_taken_and_all_else_is_not(
    faulty: Any, target: Destination, tmp_path: Path
) -> None:
    name = f"{'0' * 32}-blob-base"
    for folder in (name, f"{'0' * 32}-base", f"{'1' * 32}-blob-broken"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "blob").write_bytes(b"some words")
        (tmp_path / folder / "blob.json").write_text(
            "{}" if "broken" in folder else json.dumps({"digest": digest_of(b"some words"), "size": 10})
        )
    with pushing.Ahead(target, ()) as ahead:
        for path in tmp_path.iterdir():
            ahead.made(path.name.partition("-")[2], functools.partial(path.joinpath))
        assert ahead.delivery
        _wait_for(lambda: bool(faulty.blobs))
    assert faulty.blobs == {("me/model", digest_of(b"some words")): b"some words"}


def test_a_refusal_while_nix_is_at_work_is_told_as_one_of_a_push(
    faulty: Any, target: Destination, tmp_path: Path
) -> None:
    faulty.answers["HEAD"] = deque([(403, {})])
    numbers = count()

    def make() -> bool:
        folder = tmp_path / f"{next(numbers):032}-blob-base"
        folder.mkdir()
        (folder / "blob.json").write_text(json.dumps({"digest": f"sha256:{folder.name}", "size": 1}))
        ahead.made("blob-base", lambda: folder)
        return False

    with pytest.raises(RegistryError, match=r"^failed to push image: "), pushing.Ahead(target, ()) as ahead:
        _wait_for(make)


@pytest.mark.nix
@pytest.mark.network
def test_nix_tells_of_each_layer_that_it_compresses(
    registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(EXAMPLES / "hello-world", tmp_path / "hello-world")
    (project / "new").mkdir()
    (project / "new/file").write_text(uuid.uuid4().hex)
    (project / "cog-nix.nix").write_text(
        "final: prev: { layers = prev.layers ++ [ "
        '(final.lib.folder { name = "new"; path = ./new; to = "/n"; }) ]; }'
    )
    begun: set[str] = set()
    sent = pushing.push_built

    def push_built(oci: Path, *arguments: Any, delivery: Delivery, **options: Any) -> Pushed:
        begun.update((oci / blob_file(digest)).readlink().parent.name[-9:] for digest in delivery._taken)
        return sent(oci, *arguments, delivery=delivery, **options)

    monkeypatch.chdir(project)
    monkeypatch.setattr(push_command, "push_built", push_built)
    options = push_command._Options(target=f"{registry}/me/{uuid.uuid4().hex}:v1")
    push_command.push(Session(plugins.load({})), options)
    assert "-blob-new" in begun
