"""What belongs to a manifest, in registries that list it by themselves and in those that do not."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import RegistryError
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.registry.client import OK, Repository
from cog_nix.registry.credentials import Credentials
from cog_nix.registry.delivery import upload_all
from cog_nix.registry.layout import OCI_INDEX, OCI_MANIFEST, Manifest
from cog_nix.registry.push import put_manifest
from cog_nix.registry.reference import Reference
from cog_nix.registry.referrers import attach, descriptor, referrers
from cog_nix.registry.upload import Blob
from cog_nix.report import SilentReporter
from cog_nix.system.digests import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.registry.conftest import Faulty

QUICK = RetryPolicy(attempts=2, delay=0.01)
OURS, THEIRS = "application/vnd.example.ours", "application/vnd.example.theirs"


@pytest.fixture(params=["docker-registry", "with-the-api", "without-it"])
def repository(request: pytest.FixtureRequest) -> Iterator[Repository]:
    """Yield a repository that has the blob ``{}``, in each kind of registry."""
    if request.param == "docker-registry":
        host = request.getfixturevalue("registry")
    else:
        faulty: Faulty = request.getfixturevalue("faulty")
        faulty.lists_referrers = request.param == "with-the-api"
        host = faulty.host
    reference = Reference.parse(f"{host}/{uuid.uuid4().hex}:v1")
    with Repository(reference, Credentials(), (), QUICK) as made:
        blob = Blob(digest_of(b"{}"), 2, b"{}")
        upload_all(made, [blob], lambda _: (), SilentReporter())
        yield made


def manifest(artifact_type: str, subject: Manifest | None = None, note: str = "") -> Manifest:
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2}
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": config,
        "layers": [config],
        "annotations": {"note": note},
        **({"subject": descriptor(subject)} if subject else {}),
    }
    return Manifest(OCI_MANIFEST, json.dumps(document).encode())


def test_what_was_attached_is_found(repository: Repository) -> None:
    subject = manifest("application/vnd.example.image")
    put_manifest(repository, subject, "v1")
    assert referrers(repository, subject.digest, OURS) == []
    theirs, ours = manifest(THEIRS, subject), manifest(OURS, subject)
    attach(repository, theirs, subject.digest, THEIRS)
    attach(repository, ours, subject.digest, OURS)
    assert [one["digest"] for one in referrers(repository, subject.digest, OURS)] == [ours.digest]
    assert [one["digest"] for one in referrers(repository, subject.digest, THEIRS)] == [theirs.digest]
    there = repository.send("GET", f"manifests/{ours.digest}", (OK,), {"Accept": OCI_MANIFEST})
    assert there.content == ours.data


def test_the_newest_of_a_type_is_among_them(repository: Repository) -> None:
    subject = manifest("application/vnd.example.image")
    put_manifest(repository, subject, "v1")
    for note in ("old", "new"):
        attach(repository, manifest(OURS, subject, note), subject.digest, OURS)
    newest = manifest(OURS, subject, "new").digest
    assert newest in [one["digest"] for one in referrers(repository, subject.digest, OURS)]


def test_the_list_is_under_a_tag_where_the_registry_keeps_none(registry: str) -> None:
    reference = Reference.parse(f"{registry}/{uuid.uuid4().hex}:v1")
    with Repository(reference, Credentials(), (), QUICK) as repository:
        blob = Blob(digest_of(b"{}"), 2, b"{}")
        upload_all(repository, [blob], lambda _: (), SilentReporter())
        subject = manifest("application/vnd.example.image")
        put_manifest(repository, subject, "v1")
        attach(repository, manifest(OURS, subject), subject.digest, OURS)
        tag = subject.digest.replace(":", "-")
        answer = repository.send("GET", f"manifests/{tag}", (OK,), {"Accept": OCI_INDEX})
    (one,) = answer.json()["manifests"]
    assert one["artifactType"] == OURS


def test_a_list_that_is_none_is_refused(faulty: Faulty) -> None:
    digest = "sha256:" + "0" * 64
    faulty.manifests[f"model:{digest.replace(':', '-')}"] = b'{"manifests": 3}'
    with (
        Repository(Reference.parse(f"{faulty.host}/model:v1"), Credentials(), (), QUICK) as repository,
        pytest.raises(RegistryError, match="list of referrers"),
    ):
        referrers(repository, digest, OURS)
