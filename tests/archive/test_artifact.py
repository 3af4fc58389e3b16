"""Archives in registries: beside an image, found by its name, each file there once."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.archive import place
from cog_nix.archive.artifact import ARTIFACT, RegistryArchive
from cog_nix.archive.errors import UnusableArchiveError
from cog_nix.archive.model import Header
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.registry import layout
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.destination import Destination
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter
from tests.registry.conftest import faulty, write_layout  # noqa: F401 - a fixture among them
from tests.registry.pushing import push

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.fetch.store import Store
    from tests.archive.conftest import Listener
    from tests.registry.conftest import Faulty

QUICK = RetryPolicy(attempts=2, delay=0.01)


def push_image(folder: Path, name: str, content: bytes) -> None:
    """Push an image with one layer, as ``cog-nix push`` does."""
    root = write_layout(folder / uuid.uuid4().hex, [content])
    target = Destination(name, Reference.parse(name))
    push(layout.read(root), target, Credentials(), cache=folder / "cache", reporter=SilentReporter())


@pytest.fixture(params=["docker-registry", "with-the-api"])
def host(request: pytest.FixtureRequest) -> str:
    if request.param == "docker-registry":
        return str(request.getfixturevalue("registry"))
    state: Faulty = request.getfixturevalue("faulty")
    state.lists_referrers = True
    return state.host


@pytest.fixture
def image(host: str, tmp_path: Path) -> str:
    """Return the name of an image in a registry."""
    name = f"{host}/{uuid.uuid4().hex}:v1"
    push_image(tmp_path, name, b"a layer")
    return name


def test_an_images_name_leads_to_what_it_was_built_from(
    image: str, file: Any, cache: Path, reporter: Listener, downloads: Store
) -> None:
    one = file("a.deb", b"first" * 1000)
    place.destination(f"oci:{image}", cache, reporter).add([one], Header({"nix": "record"}))
    for word in (image, f"oci:{image}"):
        found = place.find(word, cache, reporter)
        assert found.header == Header({"nix": "record"})
        assert found.supply([one[0]], downloads) == [one[0].sha256]


def test_the_image_is_as_it_was(image: str, file: Any, cache: Path, reporter: Listener) -> None:
    def manifest() -> bytes:
        import httpx  # noqa: PLC0415

        host, _, rest = image.partition("/")
        url = f"http://{host}/v2/{rest.partition(':')[0]}/manifests/v1"
        return httpx.get(url, headers={"Accept": layout.DOCKER_MANIFEST}).content

    before = manifest()
    place.destination(f"oci:{image}", cache, reporter).add([file("a.deb", b"first")], Header())
    assert manifest() == before
    assert json.loads(before)["mediaType"] == layout.DOCKER_MANIFEST


def test_an_image_without_one_says_how_to_make_it(image: str, cache: Path, reporter: Listener) -> None:
    with pytest.raises(UnusableArchiveError, match=ARTIFACT) as caught:
        place.find(image, cache, reporter)
    assert f"cog-nix archive oci:{image}" in caught.value.hint


def test_another_image_of_the_repository_shares_files(
    image: str, file: Any, cache: Path, reporter: Listener, downloads: Store
) -> None:
    shared, own = file("a.deb", b"first" * 1000), file("b.deb", b"second")
    place.destination(f"oci:{image}", cache, reporter).add([shared], Header())
    other = image.replace(":v1", ":v2")
    push_image(cache.parent, other, b"another layer")
    with pytest.raises(UnusableArchiveError):
        place.find(other, cache, reporter)
    place.destination(f"oci:{other}", cache, reporter).add([shared, own], Header())
    assert len(place.find(other, cache, reporter).supply([shared[0], own[0]], downloads)) == 2
    assert not place.find(image, cache, reporter).holds(own[0].sha256)


def test_what_the_registry_has_is_not_sent_again(
    faulty: Faulty,  # noqa: F811 - the fixture
    file: Any,
    cache: Path,
    reporter: Listener,
    tmp_path: Path,
) -> None:
    image, other = (f"{faulty.host}/{name}:v1" for name in ("one", "other"))
    for name in (image, other):
        push_image(tmp_path, name, name.encode())
    shared = file("a.deb", b"first" * 1000)
    place.destination(f"oci:{image}", cache, reporter).add([shared], Header())
    before = faulty.count("PUT")
    assert place.destination(f"oci:{other}", cache, reporter).add([shared], Header()) == 0
    # The manifest, and the list of referrers; the file and the header were mounted.
    assert faulty.count("PUT") - before == len(["manifest", "list"])


def test_nothing_to_add_sends_nothing(
    faulty: Faulty,  # noqa: F811 - the fixture
    file: Any,
    cache: Path,
    reporter: Listener,
) -> None:
    word = f"oci:{faulty.host}/inputs:v1"
    place.destination(word, cache, reporter).add([file("a.deb", b"first")], Header())
    sent = faulty.count("PUT"), faulty.count("POST"), faulty.count("HEAD")
    place.destination(word, cache, reporter).add([], Header())
    assert (faulty.count("PUT"), faulty.count("POST"), faulty.count("HEAD")) == sent


def test_a_file_that_the_registry_lost_is_named(
    faulty: Faulty,  # noqa: F811 - the fixture
    file: Any,
    cache: Path,
    reporter: Listener,
    downloads: Store,
) -> None:
    word = f"oci:{faulty.host}/inputs:v1"
    good, lost, changed = file("good.deb", b"good"), file("lost.deb", b"lost"), file("changed.deb", b"old")
    place.destination(word, cache, reporter).add([good, lost, changed], Header())
    del faulty.blobs["inputs", f"sha256:{lost[0].sha256}"]
    faulty.blobs["inputs", f"sha256:{changed[0].sha256}"] = b"new"
    reference = Reference.parse(word.removeprefix("oci:"))
    found = RegistryArchive(reference, Credentials(), reporter, cache=cache, policy=QUICK)
    assert found.supply([good[0], lost[0], changed[0]], downloads) == [good[0].sha256]
    assert sorted(text.partition(" in ")[0].partition(" from ")[0] for text in reporter.warned) == [
        "changed.deb is damaged",
        "lost.deb is gone",
    ]
    assert found.damaged([good[0], lost[0]]) == [lost[0].sha256]
    place.destination(word, cache, reporter).add([lost], Header())
    assert faulty.blobs["inputs", f"sha256:{lost[0].sha256}"] == b"lost"


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(b"[]", id="no-object"),
        pytest.param(json.dumps({"artifactType": ARTIFACT}).encode(), id="without-anything"),
        pytest.param(b"{half", id="half"),
    ],
)
def test_a_manifest_that_is_none_is_refused(
    faulty: Faulty,  # noqa: F811 - the fixture
    cache: Path,
    reporter: Listener,
    manifest: bytes,
) -> None:
    faulty.manifests["inputs:v1"] = manifest
    with pytest.raises(UnusableArchiveError, match="its manifest"):
        place.find(f"oci:{faulty.host}/inputs:v1", cache, reporter)


def test_a_digest_is_no_destination(cache: Path, reporter: Listener) -> None:
    with pytest.raises(UnusableArchiveError, match="digest"):
        place.destination(f"oci:127.0.0.1:9/inputs@sha256:{'0' * 64}", cache, reporter)
