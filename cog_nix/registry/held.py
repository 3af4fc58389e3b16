"""What a repository's layers came to, kept beside them: who has none of them can push an edit all the same.

An OCI artifact under the tag :data:`TAG`, with one JSON document::

    {"version": 1,
     "layers": {KEY: {"diff_id": …, "size": …, "digest": …, "compressed": …, "signatures": […]}},
     "frozen": {KEY: {"text": …, "signatures": […]}}}

Keys are those of :mod:`cog_nix.image.known`. Each push adds what is new, the latest first; what was long not
pushed falls off. Two pushes at once may lose each other's additions, which costs whoever needs them a whole
build.

Whoever can write to the repository can write this too, and can replace the image itself. Where keys are
trusted (:class:`cog_nix.system.keys.PublicKeys`), only what one of them signed counts.
"""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cog_nix.errors import CogNixError
from cog_nix.fetch.parallel import run_all
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.image.known import Keys, Known, KnownLayer
from cog_nix.registry.client import OK, Repository
from cog_nix.registry.delivery import workers
from cog_nix.registry.failures import NOT_FOUND
from cog_nix.registry.layout import OCI_MANIFEST, Manifest
from cog_nix.registry.memory import Memory
from cog_nix.registry.push import put_manifest
from cog_nix.registry.upload import Blob, Upload
from cog_nix.system import jsonvalue
from cog_nix.system.digests import digest_of
from cog_nix.system.jsonvalue import list_of, mapping_of, text_of
from cog_nix.system.keys import PublicKeys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cog_nix.registry.credentials import Credentials
    from cog_nix.registry.reference import Reference
    from cog_nix.report import Reporter
    from cog_nix.system.keys import SecretKey

TAG = "cog-nix.layers"
TYPE = "application/vnd.cog-nix.layers.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"
_VERSION = 1
_MOST = 1000
"""Layers that are remembered: some 300 kB."""
_LARGEST = 4 << 20


@dataclass(frozen=True)
class HeldLayers:
    """The record of one repository.

    Args:
        reference: the repository.
        credentials: for its registry.
        cache: folder of the user's caches.
        reporter: is told what goes wrong: without a record, an image is built whole.
        trusted: whose signatures count; none: nothing needs to be signed.
        secret: signs what is added.
        policy: how often to try again.
    """

    reference: Reference
    credentials: Credentials
    cache: Path
    reporter: Reporter
    trusted: PublicKeys = field(default_factory=PublicKeys)
    secret: SecretKey | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)

    def known(self, keys: Keys) -> Known:
        """Return what is known of an image, and is in the registry.

        Args:
            keys: of its layers.
        """
        try:
            with self._repository() as repository:
                found = self._read(repository).counting(self.trusted).of(keys)
                memory = Memory(self.cache, self.reference.registry)
                layers = list(found.layers.items())
                asked = [functools.partial(self._has, repository, memory, one) for _, one in layers]
                there = run_all(asked, workers(), threading.Event())
        except CogNixError as error:
            self.reporter.log(f"what {self.reference.name} holds cannot be found out: {error.message}")
            return Known()
        return Known(dict(layer for layer, has in zip(layers, there, strict=True) if has), found.frozen)

    def add(self, known: Known) -> None:
        """Record what was pushed. That it could not be recorded fails nothing.

        Args:
            known: all layers of an image in the repository.
        """
        try:
            with self._repository() as repository:
                before = self._read(repository)
                after = before.with_new(known, self.trusted, self.secret)
                if after != before:
                    self._write(repository, after)
        except CogNixError as error:
            self.reporter.log(f"what was pushed is not recorded in {self.reference.name}: {error.message}")

    def _repository(self) -> Repository:
        return Repository(self.reference, self.credentials, policy=self.policy)

    @staticmethod
    def _has(repository: Repository, memory: Memory, layer: KnownLayer) -> bool:
        """Whether a layer's blob is there, or can be had from another repository."""
        sources = memory.sources(layer.digest, repository.reference.repository)
        return Upload(repository, Blob(layer.digest, layer.compressed, None)).spare(sources) is not None

    def _read(self, repository: Repository) -> Record:
        """Return the record, an empty one where there is none that can be read."""
        accepted = {"Accept": OCI_MANIFEST}
        answer = repository.send("GET", f"manifests/{TAG}", (OK, NOT_FOUND), accepted)
        if answer.status_code == NOT_FOUND:
            return Record()
        try:
            digest = _blob_of(jsonvalue.loads(answer.content))
            content = repository.send("GET", f"blobs/{digest}", (OK,)).content
            return Record.parse(jsonvalue.loads(_checked(content, digest)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self.reporter.log(f"{self.reference.name}:{TAG} is not a record of layers: {error}")
            return Record()

    def _write(self, repository: Repository, record: Record) -> None:
        data = json.dumps(record.document(), separators=(",", ":")).encode()
        blobs = [Blob(digest_of(content), len(content), content) for content in (b"{}", data)]
        for blob in blobs:
            upload = Upload(repository, blob)
            if upload.spare() is None:
                upload.run(lambda _: None)
        config, layer = (
            {"mediaType": kind, "digest": blob.digest, "size": blob.size}
            for kind, blob in zip((_EMPTY, TYPE), blobs, strict=True)
        )
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": TYPE,
            "config": config,
            "layers": [layer],
        }
        put_manifest(repository, Manifest(OCI_MANIFEST, json.dumps(manifest).encode()), TAG)


@dataclass(frozen=True)
class Record:
    """What is kept: what is known, and who signed it."""

    known: Known = field(default_factory=Known)
    signatures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By what was signed (:func:`layer_text`, :func:`frozen_text`)."""

    @classmethod
    def parse(cls, data: Any) -> Record:
        """Read a document.

        Raises:
            ValueError: it is not one, or of another version.
            TypeError: the same.
            KeyError: the same.
        """
        if mapping_of(data)["version"] != _VERSION:
            raise ValueError(f"version {data['version']} is not known")
        signatures: dict[str, tuple[str, ...]] = {}
        layers, frozen = {}, {}
        for key, one in mapping_of(data["layers"]).items():
            layers[key] = KnownLayer.parse(one)
            signatures[layer_text(key, layers[key])] = tuple(map(text_of, list_of(one["signatures"])))
        for key, one in mapping_of(data["frozen"]).items():
            frozen[key] = text_of(one["text"])
            signatures[frozen_text(key, frozen[key])] = tuple(map(text_of, list_of(one["signatures"])))
        return cls(Known(layers, frozen), signatures)

    def document(self) -> dict[str, Any]:
        """Return what :meth:`parse` reads."""

        def signed(text: str) -> dict[str, list[str]]:
            return {"signatures": list(self.signatures.get(text, ()))}

        layers = {
            key: {**asdict(one), **signed(layer_text(key, one))} for key, one in self.known.layers.items()
        }
        frozen = {
            key: {"text": text, **signed(frozen_text(key, text))} for key, text in self.known.frozen.items()
        }
        return {"version": _VERSION, "layers": layers, "frozen": frozen}

    def counting(self, trusted: PublicKeys) -> Known:
        """Return what is known by those who are trusted; all of it where nobody is named."""
        if not trusted:
            return self.known

        def counts(text: str) -> bool:
            return trusted.have_signed(text, self.signatures.get(text, ()))

        layers = {key: one for key, one in self.known.layers.items() if counts(layer_text(key, one))}
        return Known(
            layers, {key: text for key, text in self.known.frozen.items() if counts(frozen_text(key, text))}
        )

    def with_new(self, known: Known, trusted: PublicKeys, secret: SecretKey | None) -> Record:
        """Return the record with an image's layers in front, signed where there is a key.

        What it says already stays as it is, unless it would not count and now will.
        """
        counted = self.counting(trusted)
        new_layers = {key: one for key, one in known.layers.items() if counted.layers.get(key) != one}
        new_frozen = {key: text for key, text in known.frozen.items() if counted.frozen.get(key) != text}
        if not new_layers and not new_frozen:
            return self
        texts = [layer_text(*item) for item in new_layers.items()]
        texts += [frozen_text(*item) for item in new_frozen.items()]
        signatures = {text: (secret.sign(text),) if secret else () for text in texts}
        layers = dict(list({**new_layers, **_without(self.known.layers, new_layers)}.items())[:_MOST])
        frozen = dict(list({**new_frozen, **_without(self.known.frozen, new_frozen)}.items())[:_MOST])
        return Record(Known(layers, frozen), {**self.signatures, **signatures})


def layer_text(key: str, layer: KnownLayer) -> str:
    """Return what is signed of a layer."""
    return f"cog-nix layer 1;{key};{layer.diff_id};{layer.size};{layer.digest};{layer.compressed}"


def frozen_text(key: str, text: str) -> str:
    """Return what is signed of the distributions in an image."""
    return f"cog-nix distributions 1;{key};{hashlib.sha256(text.encode()).hexdigest()}"


def _blob_of(manifest: Any) -> str:
    """Return the digest of the document that an artifact's manifest names.

    Raises:
        ValueError: it is not that of a record.
        TypeError: the same.
        KeyError: the same.
    """
    (layer,) = list_of(mapping_of(manifest)["layers"])
    if layer["mediaType"] != TYPE or jsonvalue.size_of(layer["size"]) > _LARGEST:
        raise ValueError(f"its layer is not {TYPE}")
    return text_of(layer["digest"])


def _checked(content: bytes, digest: str) -> bytes:
    """Return content that has a digest.

    Raises:
        ValueError: it has another one.
    """
    if digest_of(content) != digest:
        raise ValueError(f"what came as {digest} is {digest_of(content)}")
    return content


def _without(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key not in other}
