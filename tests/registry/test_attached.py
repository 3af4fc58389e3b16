"""Documents beside an image: in registries that list them, and in those where clients keep the list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import RegistryError
from cog_nix.registry import attached, layout, packing
from cog_nix.registry.attached import Attachment
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.destination import Destination
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter
from tests.registry.pushing import push

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.registry.conftest import Faulty

_SPDX = Attachment("application/spdx+json", "sbom.spdx.json", b'{"name": "a"}')
_PROVENANCE = Attachment("application/vnd.in-toto+json", "provenance.json", b'{"_type": "b"}')


@pytest.fixture(params=[False, True], ids=["tag", "api"])
def held(request: pytest.FixtureRequest, faulty: Faulty) -> Faulty:
    faulty.lists_referrers = request.param
    return faulty


def _pushed(host: str, root: Path, cache: Path) -> tuple[Reference, layout.Manifest]:
    reference = Reference.parse(f"{host}/me/model:1")
    found = push(
        layout.read(root), Destination("x", reference), Credentials(), cache=cache, reporter=SilentReporter()
    )
    assert found.manifest
    return reference, found.manifest


def test_what_is_attached_is_found_by_its_type(
    held: Faulty, make_layout: Callable[..., Path], tmp_path: Path
) -> None:
    reference, subject = _pushed(held.host, make_layout(b"1"), tmp_path)
    before = held.manifests[f"me/model@{subject.digest}"]
    references = attached.attach_all(
        [_SPDX, _PROVENANCE], subject, reference, Credentials(), reporter=SilentReporter()
    )
    assert references.keys() == {_SPDX.media_type, _PROVENANCE.media_type}
    for one in (_SPDX, _PROVENANCE):
        (found,) = attached.read(reference, subject.digest, one.media_type, Credentials())
        assert found == json.loads(one.data)
        manifest = json.loads(held.manifests[f"me/model@{references[one.media_type].partition('@')[2]}"])
        assert manifest["subject"]["digest"] == subject.digest
        assert manifest["layers"][0]["annotations"] == {"org.opencontainers.image.title": one.name}
    assert held.manifests["me/model:1"] == before
    assert attached.read(reference, subject.digest, "application/none", Credentials()) == []


def test_attaching_twice_sends_nothing_twice(
    held: Faulty, make_layout: Callable[..., Path], tmp_path: Path
) -> None:
    reference, subject = _pushed(held.host, make_layout(b"1"), tmp_path)
    for _ in range(2):
        attached.attach_all([_SPDX], subject, reference, Credentials(), reporter=SilentReporter())
        uploads = held.count("POST")
    assert held.count("POST") == uploads
    assert len(attached.read(reference, subject.digest, _SPDX.media_type, Credentials())) == 1


def test_a_document_that_is_gone_is_told(
    held: Faulty, make_layout: Callable[..., Path], tmp_path: Path
) -> None:
    reference, subject = _pushed(held.host, make_layout(b"1"), tmp_path)
    attached.attach_all([_SPDX], subject, reference, Credentials(), reporter=SilentReporter())
    held.blobs.clear()
    with pytest.raises(RegistryError, match="does not have it"):
        attached.read(reference, subject.digest, _SPDX.media_type, Credentials())


def test_a_registry_that_knows_referrers_gets_zstandard(held: Faulty) -> None:
    found = packing.best(Reference.parse(f"{held.host}/me/model"), Credentials())
    assert found == ("zstd" if held.lists_referrers else "gzip")


@pytest.mark.parametrize(
    ("registry", "expected"),
    [("r8.im", "gzip"), ("ghcr.io", "zstd"), ("1.dkr.ecr.eu-west-1.amazonaws.com", "zstd"), ("a.org", None)],
)
def test_what_is_known_of_registries(registry: str, expected: str | None) -> None:
    assert packing.known(registry) == expected
