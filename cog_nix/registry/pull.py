"""Pulls an image from a registry: its manifest, its configuration, and those layers that are not held."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cog_nix.errors import FetchError
from cog_nix.fetch.download import download_all
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.fetch.store import Store
from cog_nix.lock.model import Artifact
from cog_nix.registry.client import OK, Repository
from cog_nix.registry.failures import NotPulledError
from cog_nix.registry.layout import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from cog_nix.system import jsonvalue
from cog_nix.system.digests import digest_of
from cog_nix.system.jsonvalue import list_of, mapping_of, size_of, text_of
from cog_nix.system.packing import USUAL, packing_in
from cog_nix.system.platforms import AMD64, host_platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from cog_nix.registry.credentials import Credentials
    from cog_nix.registry.reference import Reference
    from cog_nix.report import Reporter
    from cog_nix.system.packing import Packing
    from cog_nix.system.platforms import Platform

_WORKERS = 5
_SHA256 = re.compile("sha256:[0-9a-f]{64}")
_INDEXES = (OCI_INDEX, DOCKER_LIST)
_ACCEPTED = ", ".join((OCI_MANIFEST, DOCKER_MANIFEST, *_INDEXES))
_HERE = host_platform() or AMD64
"""What is taken of an index where nothing says which platform."""


@dataclass(frozen=True)
class Pulled:
    """An image from a registry."""

    id: str
    """``sha256:…`` of its configuration."""
    config: Mapping[str, Any]
    """The OCI image configuration."""
    diff_ids: tuple[str, ...]
    """From bottom to top."""
    layers: Mapping[str, Path]
    """The files of those layers that were not held, by diff id; compressed as the registry has them."""


@dataclass(frozen=True)
class Found:
    """An image in a registry, none of whose layers has been fetched."""

    reference: Reference
    digest: str
    """``sha256:…`` of its manifest; of an index, of the manifest in it."""
    text: bytes
    """Its configuration."""
    layers: tuple[tuple[str, Artifact], ...]
    """``(diff id, blob)`` from bottom to top."""
    packing: Packing = USUAL
    """How its layers are compressed."""

    @property
    def id(self) -> str:
        """``sha256:…`` of its configuration."""
        return digest_of(self.text)


def find(
    reference: Reference,
    credentials: Credentials,
    *,
    platform: Platform | None = None,
    policy: RetryPolicy | None = None,
) -> Found:
    """Ask what an image is (distribution-spec, "Pulling manifests").

    Args:
        reference: which.
        credentials: for its registry.
        platform: what it has to be for; None: of an index, what it has for this machine.
        policy: how often to try again; None: as usual.

    Raises:
        RegistryError: there is no such image, or the registry refuses or cannot be reached.
    """
    with Repository(reference, credentials, (), policy or RetryPolicy(), purpose="pull") as repository:
        return _found(repository, platform)


def fetch_layers(
    found: Found, credentials: Credentials, numbers: Iterable[int], folder: Path, reporter: Reporter
) -> dict[str, Path]:
    """Fetch some layers of an image; return their files, as the registry has them, by diff id.

    Args:
        found: the image.
        credentials: for its registry.
        numbers: of the layers, from 0.
        folder: where they are put.
        reporter: shows the bytes that come.

    Raises:
        RegistryError: they cannot be had.
    """
    cancelled = threading.Event()
    wanted = dict(found.layers[number] for number in numbers)
    with Repository(found.reference, credentials, (), RetryPolicy(), cancelled, "pull") as repository:
        return _fetch(repository, wanted, folder, reporter, cancelled)


def pull(
    reference: Reference,
    credentials: Credentials,
    *,
    folder: Path,
    held: Callable[[str], bool],
    reporter: Reporter,
    platform: Platform | None = None,
    policy: RetryPolicy | None = None,
) -> Pulled:
    """Fetch an image (distribution-spec, "Pull").

    Args:
        reference: which.
        credentials: for its registry.
        folder: where layers are put. Those that are there from an earlier try are taken or carried on.
        held: whether the layer of a diff id is needed no more.
        reporter: shows the bytes that come.
        platform: what it has to be for; None: of an index, what it has for this machine.
        policy: how often to try again; None: as usual.

    Raises:
        RegistryError: there is no such image, the registry refuses or cannot be reached, or what comes is
            something else.
    """
    cancelled = threading.Event()
    policy = policy or RetryPolicy()
    with Repository(reference, credentials, (), policy, cancelled, "pull") as repository:
        found = _found(repository, platform)
        missing = {diff_id: blob for diff_id, blob in found.layers if not held(diff_id)}
        files = _fetch(repository, missing, folder, reporter, cancelled)
    config = mapping_of(jsonvalue.loads(found.text))
    return Pulled(found.id, config, tuple(diff_id for diff_id, _ in found.layers), files)


def _found(repository: Repository, platform: Platform | None) -> Found:
    """Return what the repository's reference stands for, on a platform."""
    reference = repository.reference
    digest, manifest = _manifest(repository, reference, platform or _HERE)
    try:
        text = _text(repository, "blobs", _digest(manifest["config"]))
        config = mapping_of(jsonvalue.loads(text))
        diff_ids = map(text_of, list_of(config["rootfs"]["diff_ids"]))
        blobs = [_artifact(repository, one) for one in list_of(manifest["layers"])]
        layers = tuple(zip(diff_ids, blobs, strict=True))
    except (ValueError, KeyError, TypeError) as error:
        raise NotPulledError(reference, "its manifest or configuration is not one of an image") from error
    made_for = f"{config.get('os')}/{config.get('architecture')}"
    if platform and made_for != platform.name:
        raise NotPulledError(reference, f"it is for {made_for}, not for {platform}")
    return Found(reference, digest, text, layers, packing_in(list_of(manifest["layers"])))


def _manifest(repository: Repository, reference: Reference, platform: Platform) -> tuple[str, dict[str, Any]]:
    """Return the manifest of the image itself with its digest, through an index where there is one."""
    text = _text(repository, "manifests", reference.digest or reference.tag)
    found = _parsed(reference, text)
    if found.get("mediaType") in _INDEXES or "manifests" in found:
        try:
            digest = _for_platform(found, platform)
        except (ValueError, KeyError, TypeError) as error:
            raise NotPulledError(reference, "its index is not one") from error
        if not digest:
            raise NotPulledError(reference, f"it has nothing for {platform}")
        text = _text(repository, "manifests", digest)
        found = _parsed(reference, text)
    if "config" not in found or "layers" not in found:
        raise NotPulledError(reference, "it is something else, or in a format older than Docker's schema 2")
    return digest_of(text), found


def _for_platform(index: Mapping[str, Any], platform: Platform) -> str:
    """Return the digest of what an index has for a platform; "" for nothing."""
    for one in map(mapping_of, list_of(index["manifests"])):
        told = mapping_of(one.get("platform") or {})
        if (told.get("os"), told.get("architecture")) == (platform.os, platform.architecture):
            return _digest(one)
    return ""


def _digest(descriptor: object) -> str:
    """Return a descriptor's digest (image-spec, descriptor.md); of the one algorithm that is checked here.

    Raises:
        KeyError, TypeError, ValueError: it has none.
    """
    digest = text_of(mapping_of(descriptor)["digest"])
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a digest")
    return digest


def _parsed(reference: Reference, text: bytes) -> dict[str, Any]:
    try:
        found: Any = jsonvalue.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NotPulledError(reference, "its manifest is not a JSON object")
    return found


def _text(repository: Repository, kind: str, name: str) -> bytes:
    """Return a manifest or a small blob, checked where it is named by its digest."""
    headers = {"Accept": _ACCEPTED} if kind == "manifests" else None
    content: bytes = repository.send("GET", f"{kind}/{name}", (OK,), headers).content
    if name.startswith("sha256:") and digest_of(content) != name:
        raise NotPulledError(repository.reference, f"what came as {name} is {digest_of(content)}")
    return content


def _artifact(repository: Repository, layer: Mapping[str, Any]) -> Artifact:
    digest, size = _digest(layer), size_of(mapping_of(layer)["size"])
    return Artifact(digest, repository.url(f"blobs/{digest}"), digest.removeprefix("sha256:"), size)


def _fetch(
    repository: Repository,
    wanted: Mapping[str, Artifact],
    folder: Path,
    reporter: Reporter,
    cancelled: threading.Event,
) -> dict[str, Path]:
    if not wanted:
        return {}
    total = sum(one.size for one in wanted.values())
    with reporter.bytes_bar(f"Pulling {len(wanted)} layers", total) as bar:
        try:
            files = download_all(
                [*wanted.values()],
                Store(folder),
                repository,
                repository.policy,
                workers=_WORKERS,
                cancelled=cancelled,
                bar=bar,
            )
        except FetchError as error:
            raise NotPulledError(
                repository.reference, error.message, hint="Run this again: what has come is kept."
            ) from error
    return {diff_id: files[one.sha256] for diff_id, one in wanted.items()}
