"""What ``cog-nix push`` leaves beside an image: bills of materials, provenance, signatures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cog_nix.bom.provenance import MEDIA_TYPE, provenance
from cog_nix.build.bill import FILES, FORMATS, MEDIA_TYPES, bill_of, origin_of, rendered
from cog_nix.registry import cosign
from cog_nix.registry.attached import Attachment, attach_all
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.build.bill import Format
    from cog_nix.build.options import Built
    from cog_nix.cli.session import Session
    from cog_nix.config.model import Project
    from cog_nix.registry.credentials import Credentials
    from cog_nix.registry.push import Pushed
    from cog_nix.registry.reference import Reference
    from cog_nix.report import Reporter

_COSIGN: dict[Format, str] = {"spdx": "spdxjson", "cyclonedx": "cyclonedx"}
_PROVENANCE = "provenance.json"


@dataclass(frozen=True)
class Wanted:
    """What is asked for."""

    sbom: bool
    provenance: bool
    sign: bool
    key: str
    """"": an identity provider says who signs."""


@dataclass(frozen=True)
class Place:
    """Where the image is."""

    pushed: Pushed
    reference: Reference
    credentials: Credentials


@dataclass(frozen=True)
class _Said:
    """A document, and what a signed statement has of it."""

    attachment: Attachment
    kind: str
    """Of predicate, as cosign names it."""
    predicate: Any


def attach(wanted: Wanted, project: Project, built: Built, place: Place, session: Session) -> dict[str, str]:
    """Leave documents and signatures beside an image; return their references by title.

    Raises:
        CogNixError: the lock or the image cannot be read, the registry refuses, or cosign does.
    """
    assert place.pushed.manifest is not None  # noqa: S101 - for the type checker: it was pushed
    said = list(_documents(wanted, project, built, place, session))
    found = attach_all(
        [one.attachment for one in said],
        place.pushed.manifest,
        place.reference,
        place.credentials,
        reporter=session.reporter,
    )
    titles = {one.attachment.media_type: one.attachment.name for one in said}
    references = {titles[kind]: reference for kind, reference in found.items()}
    if wanted.sign:
        _sign(wanted, said, place, session.reporter)
        references["signature"] = f"by {wanted.key or 'whom the identity provider named'}"
    return references


def _documents(
    wanted: Wanted, project: Project, built: Built, place: Place, session: Session
) -> Iterator[_Said]:
    if wanted.sbom:
        session.reporter.step("Writing the bill of materials")
        bill, documents = bill_of(project, built, session.plugins)
        for kind in FORMATS:
            document = rendered(kind, bill, documents)
            yield _Said(Attachment(MEDIA_TYPES[kind], FILES[kind], _text(document)), _COSIGN[kind], document)
    if wanted.provenance:
        image = place.pushed.image
        statement = provenance(image.partition("@")[0], image.partition("@")[2], origin_of(project))
        attachment = Attachment(MEDIA_TYPE, _PROVENANCE, _text(statement))
        yield _Said(attachment, "slsaprovenance1", statement["predicate"])


def _text(document: Any) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode()


def _sign(wanted: Wanted, said: list[_Said], place: Place, reporter: Reporter) -> None:
    """Sign the image, and a statement about it for each document."""
    image = place.pushed.image
    cosign.sign(image, place.reference, wanted.key, reporter)
    with scratch.folder("attest") as folder:
        for one in said:
            path = folder / one.attachment.name
            path.write_bytes(_text(one.predicate))
            cosign.attest(image, place.reference, wanted.key, path, kind=one.kind, reporter=reporter)
