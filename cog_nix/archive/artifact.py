"""An archive that is an artifact in a registry: a manifest whose blobs are the files, by their own hashes.

Named by the tag of an image, it belongs to that image (its ``subject``), and whoever has the image's name
finds it. Where the tag stands for nothing yet, the artifact has the tag. The registry keeps each file once
however many manifests name it.
"""

from __future__ import annotations

import functools
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cog_nix.archive.errors import UnusableArchiveError
from cog_nix.archive.model import Header
from cog_nix.errors import CogNixError
from cog_nix.fetch.download import Download, counter
from cog_nix.fetch.failures import WrongFileError
from cog_nix.fetch.parallel import run_all
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.registry.client import OK, Repository
from cog_nix.registry.delivery import upload_all, workers
from cog_nix.registry.failures import NOT_FOUND, RefusedError
from cog_nix.registry.layout import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Manifest
from cog_nix.registry.memory import Memory
from cog_nix.registry.push import put_manifest
from cog_nix.registry.referrers import attach, descriptor, referrers
from cog_nix.registry.upload import Blob
from cog_nix.system import jsonvalue
from cog_nix.system.digests import digest_of
from cog_nix.system.jsonvalue import list_of, mapping_of, size_of, text_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.fetch.store import Store
    from cog_nix.lock.model import Artifact
    from cog_nix.registry.credentials import Credentials
    from cog_nix.registry.failures import Purpose
    from cog_nix.registry.reference import Reference
    from cog_nix.report import Reporter

ARTIFACT = "application/vnd.cog-nix.inputs.v1"
"""``artifactType`` of the manifest (image-spec, manifest.md)."""
CONFIG = "application/vnd.cog-nix.inputs.config.v1+json"
"""What its configuration is: the header."""
FILE = "application/vnd.cog-nix.inputs.file.v1"
"""What its blobs are: files as they are."""
_TITLE = "org.opencontainers.image.title"
_ACCEPTED = f"{OCI_MANIFEST}, {DOCKER_MANIFEST}, {OCI_INDEX}, {DOCKER_LIST}"


@dataclass(frozen=True)
class _Held:
    """A file of the artifact."""

    name: str
    size: int


class RegistryArchive:
    """An artifact.

    Args:
        reference: of an image, or of the artifact itself.
        credentials: for its registry.
        reporter: shows the bytes that come and go.
        cache: folder of the user's caches; what was pushed is remembered there.
        new: whether it may be one that is still to be made.
        policy: how often to try again; None: as usual.

    Raises:
        UnusableArchiveError: there is none.
        RegistryError: the registry refuses, or cannot be reached.
    """

    def __init__(
        self,
        reference: Reference,
        credentials: Credentials,
        reporter: Reporter,
        *,
        cache: Path,
        new: bool = False,
        policy: RetryPolicy | None = None,
    ) -> None:
        self._reference, self._credentials, self._reporter = reference, credentials, reporter
        self._cache, self._policy = cache, policy or RetryPolicy()
        self._cancelled = threading.Event()
        self._subject: dict[str, Any] | None = None
        self._held: dict[str, _Held] = {}
        self._manifests = 0
        self.header = Header()
        with self._repository("push" if new else "pull") as repository:
            self._read(repository)
        if not (new or self._manifests):
            what = f"nothing of type {ARTIFACT} belongs to it"
            hint = f"Make one where the image was built:  cog-nix archive oci:{reference}"
            raise UnusableArchiveError(self.title, what, hint=hint)

    @property
    def title(self) -> str:
        """Its reference."""
        return f"oci:{self._reference}"

    def holds(self, sha256: str) -> bool:
        """Whether it has a file of this hash."""
        return sha256 in self._held

    def damaged(self, files: Sequence[Artifact]) -> list[str]:
        """Return those that the registry has lost: it checks what it has itself."""
        held = [one.sha256 for one in files if self.holds(one.sha256)]
        with self._repository("pull") as repository:

            def is_there(sha256: str) -> bool:
                answer = repository.send("HEAD", f"blobs/sha256:{sha256}", (OK, NOT_FOUND))
                return answer.status_code == OK

            there = run_all([functools.partial(is_there, one) for one in held], workers(), self._cancelled)
        return [sha256 for sha256, found in zip(held, there, strict=True) if not found]

    def supply(self, wanted: Sequence[Artifact], store: Store) -> Collection[str]:
        """Fetch those files into the cache that are held."""
        held = [artifact for artifact in wanted if self.holds(artifact.sha256)]
        if not held:
            return ()
        sizes = [self._held[artifact.sha256].size for artifact in held]
        files = f"{len(held)} files" if len(held) > 1 else held[0].filename
        title = f"Fetching {files} from {self._reference}"
        with self._repository("pull") as repository, self._reporter.bytes_bar(title, sum(sizes)) as bar:
            located = [
                replace(artifact, url=repository.url(f"blobs/sha256:{artifact.sha256}"), size=size)
                for artifact, size in zip(held, sizes, strict=True)
            ]
            advance = counter(bar)

            def fetch(artifact: Artifact) -> str | None:
                download = Download(artifact, store, repository, self._policy, self._cancelled, advance)
                return artifact.sha256 if self._came(download) else None

            tasks = [functools.partial(fetch, artifact) for artifact in located]
            return [sha256 for sha256 in run_all(tasks, workers(), self._cancelled) if sha256]

    def _came(self, download: Download) -> bool:
        """Fetch one file; return False where the registry has lost it, or has something else."""
        try:
            download.run()
        except WrongFileError as error:
            self._reporter.warn(f"{error.artifact.filename} is damaged in {self.title}: {error.got}")
            return False
        except RefusedError as error:
            if error.status != NOT_FOUND:
                raise
            self._reporter.warn(f"{download.artifact.filename} is gone from {self.title}")
            return False
        return True

    def add(self, files: Sequence[tuple[Artifact, Path]], header: Header) -> int:
        """Upload files that are not held; name them all in one manifest; return the bytes that were sent."""
        merged = self.header | header
        if not files and merged == self.header and self._manifests == 1:
            return 0
        held = {**self._held, **{a.sha256: _Held(a.filename, path.stat().st_size) for a, path in files}}
        memory = Memory(self._cache, self._reference.registry)
        described = merged.dump()
        own = Blob(digest_of(described), len(described), described)
        blobs = [own, *(Blob(f"sha256:{a.sha256}", held[a.sha256].size, path) for a, path in files)]
        sources = {one.digest: memory.sources(one.digest, self._reference.repository) for one in blobs}
        others = sorted({name for found in sources.values() for name in found})
        with self._repository("push", tuple(others)) as repository:
            outcomes = upload_all(repository, blobs, sources.__getitem__, self._reporter)
            self._put(repository, held, own)
        try:
            memory.add(self._reference, [blob.digest for blob in blobs])
        except CogNixError as error:
            self._reporter.log(error.message)
        self._held, self.header, self._manifests = held, merged, 1
        sent = zip(blobs[1:], outcomes[1:], strict=True)
        return sum(blob.size for blob, outcome in sent if outcome == "uploaded")

    def _put(self, repository: Repository, held: Mapping[str, _Held], config: Blob) -> None:
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": ARTIFACT,
            "config": {"mediaType": CONFIG, "digest": config.digest, "size": config.size},
            "layers": [
                {
                    "mediaType": FILE,
                    "digest": f"sha256:{sha256}",
                    "size": one.size,
                    "annotations": {_TITLE: one.name},
                }
                for sha256, one in sorted(held.items())
            ],
            **({"subject": self._subject} if self._subject else {}),
        }
        manifest = Manifest(OCI_MANIFEST, json.dumps(document, separators=(",", ":")).encode())
        if self._subject:
            attach(repository, manifest, self._subject["digest"], ARTIFACT)
        else:
            put_manifest(repository, manifest, self._reference.tag)

    def _read(self, repository: Repository) -> None:
        """Find out what the reference stands for, and what belongs to it."""
        named = self._reference.digest or self._reference.tag
        found = self._manifest(repository, named)
        if found is None:
            return
        manifest, document = found
        if _type_of(document) == ARTIFACT:
            subject = document.get("subject")
            self._subject = mapping_of(subject) if subject else None
            self._take(repository, document)
            return
        self._subject = descriptor(manifest)
        for one in referrers(repository, manifest.digest, ARTIFACT):
            if there := self._manifest(repository, text_of(one.get("digest"))):
                self._take(repository, there[1])

    def _manifest(self, repository: Repository, name: str) -> tuple[Manifest, dict[str, Any]] | None:
        headers = {"Accept": _ACCEPTED}
        answer = repository.send("GET", f"manifests/{name}", (OK, NOT_FOUND), headers)
        if answer.status_code == NOT_FOUND:
            return None
        data: bytes = answer.content
        if name.startswith("sha256:") and digest_of(data) != name:
            raise UnusableArchiveError(self.title, f"what came as {name} is {digest_of(data)}")
        try:
            document = mapping_of(jsonvalue.loads(data))
        except (ValueError, TypeError) as error:
            raise UnusableArchiveError(self.title, f"its manifest cannot be read: {error}") from error
        media_type = str(document.get("mediaType") or answer.headers.get("content-type", OCI_MANIFEST))
        return Manifest(media_type, data), document

    def _take(self, repository: Repository, document: Mapping[str, Any]) -> None:
        """Take over what a manifest of an artifact names."""
        try:
            config = text_of(mapping_of(document["config"])["digest"])
            for one in map(mapping_of, list_of(document["layers"])):
                digest, notes = text_of(one["digest"]), mapping_of(one.get("annotations") or {})
                held = _Held(str(notes.get(_TITLE, digest)), size_of(one["size"]))
                self._held[digest.removeprefix("sha256:")] = held
        except (KeyError, TypeError, ValueError) as error:
            raise UnusableArchiveError(self.title, f"its manifest is damaged: {error}") from error
        text: bytes = repository.send("GET", f"blobs/{config}", (OK,)).content
        if digest_of(text) != config:
            raise UnusableArchiveError(self.title, f"what came as {config} is {digest_of(text)}")
        self.header = self.header | Header.parse(text, self.title)
        self._manifests += 1

    @contextmanager
    def _repository(self, purpose: Purpose, sources: tuple[str, ...] = ()) -> Iterator[Repository]:
        made = Repository(self._reference, self._credentials, sources, self._policy, self._cancelled, purpose)
        with made as repository:
            yield repository


def _type_of(document: Mapping[str, Any]) -> str:
    """Return a manifest's type (image-spec, manifest.md, "Guidelines for Artifact Usage")."""
    config = document.get("config")
    of_config = config.get("mediaType", "") if isinstance(config, dict) else ""
    return str(document.get("artifactType") or (ARTIFACT if of_config == CONFIG else of_config))
