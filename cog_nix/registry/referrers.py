"""What belongs to a manifest without being part of it (OCI distribution-spec 1.1, "Listing Referrers").

A manifest names in ``subject`` what it belongs to. Registries that know of this list a manifest's referrers
by themselves; for the others, clients keep the list, under a tag made of the subject's digest.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cog_nix.registry.client import OK
from cog_nix.registry.failures import NOT_FOUND, UnusableAnswerError
from cog_nix.registry.layout import OCI_INDEX, OCI_MANIFEST, Manifest
from cog_nix.registry.push import put_manifest
from cog_nix.system import jsonvalue
from cog_nix.system.jsonvalue import list_of, mapping_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from cog_nix.registry.client import Repository

    Descriptor: TypeAlias = dict[str, Any]

_UNSUPPORTED = (NOT_FOUND, 400, 405)
"""What registries answer that do not know of the API; it says 404."""
_TRIES = 5
_PAGES = 100


def descriptor(manifest: Manifest, artifact_type: str = "") -> Descriptor:
    """Return what others say of a manifest (image-spec, descriptor.md)."""
    found = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.data)}
    return {**found, **({"artifactType": artifact_type} if artifact_type else {})}


def referrers(repository: Repository, digest: str, artifact_type: str) -> list[Descriptor]:
    """Return the descriptors of what belongs to a manifest.

    Args:
        repository: where it is.
        digest: the manifest's.
        artifact_type: what is looked for.

    Raises:
        RegistryError: the registry refuses, or cannot be reached.
    """
    found = _listed(repository, digest)
    if found is None:
        found = _under_tag(repository, digest)
    return [one for one in found if one.get("artifactType") == artifact_type]


def attach(repository: Repository, manifest: Manifest, subject: str, artifact_type: str) -> None:
    """Give a repository a manifest that belongs to another one.

    Args:
        repository: where the other one is.
        manifest: names it in ``subject``.
        subject: the other one's digest.
        artifact_type: of the manifest. Where the list is ours to keep, others of this type leave it.

    Raises:
        RegistryError: the registry refuses, or cannot be reached.
    """
    put_manifest(repository, manifest, manifest.digest)
    if _listed(repository, subject) is not None:
        return
    ours = descriptor(manifest, artifact_type)
    for _ in range(_TRIES):  # another client may have read the list before, and write it after us
        others = [one for one in _under_tag(repository, subject) if one.get("artifactType") != artifact_type]
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [*others, ours]}
        data = json.dumps(index, separators=(",", ":")).encode()
        put_manifest(repository, Manifest(OCI_INDEX, data), _tag(subject))
        if ours in _under_tag(repository, subject):
            return
    raise UnusableAnswerError(
        repository.reference.registry,
        f"does not keep {repository.reference.name}:{_tag(subject)}: others write it all the time",
        hint="Run this again when they are done.",
    )


def _tag(digest: str) -> str:
    """Return the tag of the list ("Referrers Tag Schema")."""
    return digest.replace(":", "-")


def _listed(repository: Repository, digest: str) -> list[Descriptor] | None:
    """Return the registry's own list; None where it keeps none."""
    url, found = repository.url(f"referrers/{digest}"), []
    for _ in range(_PAGES):
        asked = url
        answer = repository.retrying(
            lambda: repository.request("GET", asked, expected=(OK, *_UNSUPPORTED))  # noqa: B023 - called now
        )
        if answer.status_code != OK or OCI_INDEX not in answer.headers.get("content-type", ""):
            return None
        found += _manifests(repository, answer.content)
        following = answer.links.get("next", {}).get("url", "")
        if not following:
            break
        url = str(answer.url.join(following))
    return found


def _under_tag(repository: Repository, digest: str) -> list[Descriptor]:
    """Return the list that clients keep."""
    accepted = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}"}
    answer = repository.send("GET", f"manifests/{_tag(digest)}", (OK, NOT_FOUND), accepted)
    return _manifests(repository, answer.content) if answer.status_code == OK else []


def _manifests(repository: Repository, text: bytes) -> list[Descriptor]:
    try:
        index: Mapping[str, Any] = mapping_of(jsonvalue.loads(text))
        return [mapping_of(one) for one in list_of(index["manifests"])]
    except (ValueError, KeyError, TypeError) as error:
        raise UnusableAnswerError(
            repository.reference.registry, f"has a list of referrers that cannot be read: {error}"
        ) from error
