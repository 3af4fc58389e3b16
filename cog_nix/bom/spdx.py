"""A bill of materials as SPDX 2.3 (ISO/IEC 5962 and what came after it; JSON)."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from cog_nix.bom.model import Licence
from cog_nix.system.jsonvalue import objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cog_nix.bom.model import Bill, Component, Document, Kind

MEDIA_TYPE = "application/spdx+json"
_NAMESPACE = uuid.UUID("0c1f3c55-6e0b-5f6d-9d2a-3c0f6f0f7d1e")
_NONE = "NOASSERTION"
_PURPOSES: dict[Kind, str] = {
    "system": "OPERATING-SYSTEM",
    "deb": "LIBRARY",
    "pypi": "LIBRARY",
    "interpreter": "APPLICATION",
    "npm": "LIBRARY",
    "golang": "LIBRARY",
    "nix": "LIBRARY",
    "command": "OTHER",
    "file": "FILE",
    "weights": "OTHER",
    "other": "LIBRARY",
}
_PREFIXES: dict[Kind, str] = {"system": "OperatingSystem-"}
"""By which trivy knows a system; it does not read ``primaryPackagePurpose``."""
_DOWNLOADABLE = re.compile(r"(https?|ftp|ssh|git(\+\w+)?)://\S+")
_IMAGE = "SPDXRef-image"
_UNLICENSED = Licence()
_URL = re.compile(r"https?://[^\s<>\"{}|\\^`]+")


def render(bill: Bill, documents: Sequence[Document]) -> dict[str, Any]:
    """Return the document.

    Args:
        bill: what is in the image.
        documents: bills that its packages bring; what they name comes in, contained in the package.
    """
    references = {one.key: _reference(one.key, _PREFIXES.get(one.kind, "")) for one in bill.components}
    own = [_package(one, references[one.key]) for one in bill.components]
    embedded = list(_embedded(documents, references))
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", _IMAGE), *_relations(bill, references)]
    relations += [(owner, "CONTAINS", package["SPDXID"]) for owner, package in embedded]
    extracted = dict(_extracted(bill))
    found: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": bill.name,
        "creationInfo": {"created": bill.created, "creators": [f"Tool: cog-nix-{bill.tool}"]},
        "packages": [_image(bill), *own, *(package for _, package in embedded)],
        "relationships": [
            {"spdxElementId": first, "relationshipType": kind, "relatedSpdxElement": second}
            for first, kind, second in relations
        ],
    }
    if extracted:
        found["hasExtractedLicensingInfos"] = [
            {"licenseId": key, "name": name, "extractedText": name} for key, name in sorted(extracted.items())
        ]
    text = json.dumps(found, sort_keys=True)
    found["documentNamespace"] = f"https://spdx.org/spdxdocs/cog-nix-{uuid.uuid5(_NAMESPACE, text)}"
    return found


def _reference(key: str, prefix: str = "") -> str:
    """Return a key as an element's identifier (SPDX 2.3, 7.2), which has fewer signs."""
    plain = re.sub(r"[^A-Za-z0-9.-]", "-", key)
    digest = hashlib.sha256(key.encode()).hexdigest()[:10]
    return f"SPDXRef-{prefix}{plain[:80]}-{digest}"


def _element(reference: str, name: str, licence: Licence = _UNLICENSED, url: str = "") -> dict[str, Any]:
    """Return a package with the fields that each has to have (SPDX 2.3, clause 7)."""
    return {
        "SPDXID": reference,
        "name": name,
        "downloadLocation": url if _DOWNLOADABLE.fullmatch(url) else _NONE,
        "filesAnalyzed": False,
        "licenseConcluded": _NONE,
        "licenseDeclared": declared(licence),
        "copyrightText": _NONE,
    }


def _image(bill: Bill) -> dict[str, Any]:
    found = _element(_IMAGE, bill.name)
    found["primaryPackagePurpose"] = "CONTAINER"
    found["comment"] = f"Built from a lock with the digest {bill.lock}."
    if bill.image:
        found["versionInfo"] = bill.image
        found["checksums"] = [_checksum(bill.image.removeprefix("sha256:"))]
    return found


def _package(one: Component, reference: str) -> dict[str, Any]:
    found = _element(reference, one.name, one.licence, one.url)
    found["primaryPackagePurpose"] = _PURPOSES[one.kind]
    if one.version:
        found["versionInfo"] = one.version
    if one.sha256:
        found["checksums"] = [_checksum(one.sha256)]
    if _URL.fullmatch(one.homepage):
        found["homepage"] = one.homepage
    if one.supplier:
        found["supplier"] = _actor(one.supplier)
    if one.description:
        found["summary"] = one.description
    said = [*one.asked, *(f"in layer {one.layer}" for _ in (1,) if one.layer)]
    if said:
        found["comment"] = "\n".join(said)
    if one.paths:
        found["sourceInfo"] = f"at {', '.join(f'/{path}' for path in one.paths)}"
    elif one.source:
        found["sourceInfo"] = f"built package from: {' '.join(one.source)}"  # as trivy and syft write it
    if one.purl:
        found["externalRefs"] = [_purl(one.purl)]
    return found


def _checksum(sha256: str) -> dict[str, str]:
    return {"algorithm": "SHA256", "checksumValue": sha256}


def _purl(text: str) -> dict[str, str]:
    return {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": text}


def _actor(text: str) -> str:
    """Return who packaged something, as 7.5 writes it: ``Organization: NAME (MAIL)``."""
    name, _, rest = text.partition("<")
    mail = rest.partition(">")[0].strip()
    name = re.sub(r"[()\s]+", " ", name).strip(" ,\"'") or mail
    return f"Organization: {name} ({mail})" if mail and "@" in mail else f"Organization: {name}"


def declared(licence: Licence) -> str:
    """Return the expression of a licence; what is no part of SPDX's list gets a name of its own."""
    parts = [
        f"({licence.expression})" if " OR " in licence.expression and licence.names else licence.expression
    ]
    parts += [own_name(name) for name in licence.names]
    return " AND ".join(filter(None, parts)) or _NONE


def own_name(text: str) -> str:
    """Return the identifier of a licence that SPDX does not list (annex D.2)."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")[:60]
    return f"LicenseRef-{plain or 'other'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _extracted(bill: Bill) -> Iterator[tuple[str, str]]:
    for one in bill.components:
        for name in one.licence.names:
            yield own_name(name), name
        for found in re.findall(r"LicenseRef-[A-Za-z0-9.-]+", one.licence.expression):
            yield found, found


def _relations(bill: Bill, references: dict[str, str]) -> Iterable[tuple[str, str, str]]:
    for one in bill.components:
        reference = references[one.key]
        if one.kind == "weights":
            yield _IMAGE, "DEPENDS_ON", reference
        else:
            yield references.get(one.inside, _IMAGE), "CONTAINS", reference
        for needed in one.depends:
            yield reference, "DEPENDS_ON", references[needed]


def _embedded(
    documents: Sequence[Document], references: dict[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what packages' own bills name, with the reference of the package."""
    for number, document in enumerate(documents):
        owner = references.get(document.key, _IMAGE)
        for place, (name, version, purl, licence) in enumerate(named(document.data)):
            package = _element(_reference(f"{document.key}/{number}/{place}"), name, licence)
            package["sourceInfo"] = f"as /{document.path} says"
            if version:
                package["versionInfo"] = version
            if purl:
                package["externalRefs"] = [_purl(purl)]
            yield owner, package


def named(data: dict[str, Any]) -> Iterator[tuple[str, str, str, Licence]]:
    """Yield name, version, purl and licence of what a bill names, in CycloneDX or SPDX 2."""
    pending = objects(data.get("components")) or objects(data.get("packages"))
    while pending:
        one = pending.pop(0)
        pending = objects(one.get("components")) + pending
        name = one.get("name")
        if not isinstance(name, str) or not name:
            continue
        version = one.get("version", one.get("versionInfo"))
        purl = one.get("purl") or next(
            (
                found.get("referenceLocator")
                for found in objects(one.get("externalRefs"))
                if found.get("referenceType") == "purl"
            ),
            "",
        )
        yield (
            name,
            version if isinstance(version, str) else "",
            purl if isinstance(purl, str) else "",
            (_licence_of(one)),
        )


def _licence_of(one: dict[str, Any]) -> Licence:
    from cog_nix.bom.licences import all_of  # noqa: PLC0415 - few packages bring a bill

    said = [
        choice.get("expression") or (choice.get("license") or {}).get("id") or ""
        for choice in objects(one.get("licenses"))
    ]
    text = one.get("licenseDeclared")
    if isinstance(text, str) and text not in {_NONE, "NONE"} and "LicenseRef" not in text:
        said.append(text)
    # What has no place on SPDX's list would need its text here.
    return Licence(all_of([text for text in said if isinstance(text, str) and text]).expression)
