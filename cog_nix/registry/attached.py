"""Documents about an image that a registry keeps beside it: bills of materials, provenance.

Each is an artifact (image-spec, "Guidelines for Artifact Usage") whose ``subject`` is the image's manifest:
the image and its digest are the same with and without. What is there already is not sent again.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.fetch.retry import RetryPolicy
from cog_nix.registry.client import OK, Repository
from cog_nix.registry.delivery import upload_all
from cog_nix.registry.failures import NOT_FOUND, UnusableAnswerError
from cog_nix.registry.layout import OCI_MANIFEST, Manifest
from cog_nix.registry.referrers import attach, descriptor, referrers
from cog_nix.registry.upload import Blob
from cog_nix.system import jsonvalue, scratch
from cog_nix.system.digests import digest_of
from cog_nix.system.jsonvalue import list_of, mapping_of, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.registry.credentials import Credentials
    from cog_nix.registry.reference import Reference
    from cog_nix.report import Reporter

_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
"""What a manifest's configuration is where there is none (image-spec, manifest.md)."""
_TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True)
class Attachment:
    """A document about an image."""

    media_type: str
    """Of the document; the artifact's type as well."""
    name: str
    """As a file would be called."""
    data: bytes


def attach_all(
    attachments: Sequence[Attachment],
    subject: Manifest,
    reference: Reference,
    credentials: Credentials,
    *,
    reporter: Reporter,
) -> dict[str, str]:
    """Give a registry documents about an image that it has.

    Args:
        attachments: the documents, of different types.
        subject: the image's manifest.
        reference: where that is.
        credentials: for its registry.
        reporter: shows the bytes that go over.

    Returns:
        ``registry/repository@sha256:…`` of each artifact, by its media type.

    Raises:
        RegistryError: the registry refuses, or cannot be reached.
    """
    found = {}
    cancelled = threading.Event()
    with (
        Repository(reference, credentials, (), RetryPolicy(), cancelled) as repository,
        scratch.folder("attached") as folder,
    ):
        (folder / "empty").write_bytes(_EMPTY)
        blobs = [Blob(digest_of(_EMPTY), len(_EMPTY), folder / "empty")]
        for number, one in enumerate(attachments):
            (folder / str(number)).write_bytes(one.data)
            blobs.append(Blob(digest_of(one.data), len(one.data), folder / str(number)))
        upload_all(repository, blobs, lambda _: (), reporter)
        for one in attachments:
            manifest = _manifest(one, subject)
            attach(repository, manifest, subject.digest, one.media_type)
            found[one.media_type] = f"{reference.name}@{manifest.digest}"
    return found


def _manifest(one: Attachment, subject: Manifest) -> Manifest:
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": one.media_type,
        "config": {"mediaType": _EMPTY_TYPE, "digest": digest_of(_EMPTY), "size": len(_EMPTY)},
        "layers": [
            {
                "mediaType": one.media_type,
                "digest": digest_of(one.data),
                "size": len(one.data),
                "annotations": {_TITLE: one.name},
            }
        ],
        "subject": descriptor(subject),
    }
    return Manifest(OCI_MANIFEST, json.dumps(document, separators=(",", ":")).encode())


def read(
    reference: Reference, digest: str, media_type: str, credentials: Credentials
) -> list[Mapping[str, object]]:
    """Return the documents of a type that a registry keeps of an image, which have to be JSON.

    Args:
        reference: where the image is.
        digest: of its manifest.
        media_type: of the documents.
        credentials: for the registry.

    Raises:
        RegistryError: the registry refuses, cannot be reached, or has something else.
    """
    with Repository(reference, credentials, (), RetryPolicy(), threading.Event(), "pull") as repository:
        return [
            _document(repository, text_of(one.get("digest")))
            for one in referrers(repository, digest, media_type)
        ]


def _document(repository: Repository, digest: str) -> Mapping[str, object]:
    manifest = _fetched(repository, "manifests", digest)
    try:
        (layer,) = list_of(manifest["layers"])
        name = text_of(mapping_of(layer)["digest"])
    except (ValueError, KeyError, TypeError) as error:
        what = f"has {digest}, which is not an artifact with one document: {error}"
        raise UnusableAnswerError(repository.reference.registry, what) from error
    return _fetched(repository, "blobs", name)


def _fetched(repository: Repository, kind: str, digest: str) -> dict[str, object]:
    headers = {"Accept": OCI_MANIFEST} if kind == "manifests" else None
    answer = repository.send("GET", f"{kind}/{digest}", (OK, NOT_FOUND), headers)
    registry = repository.reference.registry
    if answer.status_code == NOT_FOUND or digest_of(answer.content) != digest:
        raise UnusableAnswerError(registry, f"names {digest} and does not have it")
    try:
        return mapping_of(jsonvalue.loads(answer.content))
    except (ValueError, TypeError) as error:
        raise UnusableAnswerError(registry, f"has {digest}, which is not a document: {error}") from error
