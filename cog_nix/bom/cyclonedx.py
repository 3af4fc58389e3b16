"""A bill of materials as CycloneDX 1.6 (ECMA-424, JSON)."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from cog_nix.bom.spdx import named
from cog_nix.system.jsonvalue import objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cog_nix.bom.model import Bill, Component, Document, Kind, Licence

MEDIA_TYPE = "application/vnd.cyclonedx+json"
_SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_NAMESPACE = uuid.UUID("5ff1b9b6-3f0c-5dc4-8a4e-6d0a7c1d9a52")
_PROPERTY = "cog-nix"
_IMAGE = "image"
_TYPES: dict[Kind, str] = {
    "system": "operating-system",
    "deb": "library",
    "pypi": "library",
    "interpreter": "platform",
    "npm": "library",
    "golang": "library",
    "nix": "library",
    "command": "file",
    "file": "file",
    "weights": "machine-learning-model",
    "other": "library",
}
_URL = re.compile(r"(https?|ftp|git\+https|git\+ssh)://[^\s<>\"{}|\\^`]+")
_FOREIGN = ("bom-ref", "type", "name", "version", "purl", "hashes", "licenses", "supplier", "publisher")
_FOREIGN_MORE = ("description", "group", "cpe", "author", "copyright", "scope")
_SCOPES = frozenset({"required", "optional", "excluded"})


def render(bill: Bill, documents: Sequence[Document]) -> dict[str, Any]:
    """Return the document.

    Args:
        bill: what is in the image.
        documents: bills that its packages bring; what they name comes in, needed by the package. It stands
            beside the package, not in it, where trivy does not look.
    """
    embedded = list(_embedded(documents))
    found: dict[str, Any] = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": bill.created,
            "tools": {"components": [{"type": "application", "name": "cog-nix", "version": bill.tool}]},
            "component": _image(bill),
        },
        "components": [*map(_component, bill.components), *(one for _, one in embedded)],
        "dependencies": _dependencies(bill, embedded),
    }
    text = json.dumps(found, sort_keys=True)
    found["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, text)}"
    return found


def _image(bill: Bill) -> dict[str, Any]:
    properties = [("lock", bill.lock), ("image-id", bill.image)]
    return {
        "bom-ref": _IMAGE,
        "type": "container",
        "name": bill.name,
        **({"version": bill.image} if bill.image else {}),
        "properties": _properties(pair for pair in properties if pair[1]),
    }


def _component(one: Component) -> dict[str, Any]:
    found: dict[str, Any] = {"bom-ref": one.key, "type": _TYPES[one.kind], "name": one.name}
    more = {
        "version": one.version,
        "purl": one.purl,
        "publisher": one.supplier,
        "description": one.description,
    }
    found |= {key: value for key, value in more.items() if value}
    if one.sha256:
        found["hashes"] = [{"alg": "SHA-256", "content": one.sha256}]
    if one.licence:
        found["licenses"] = _licences(one.licence)
    references = [("distribution", one.url), ("website", one.homepage)]
    references = [(kind, url) for kind, url in references if _URL.fullmatch(url)]
    if references:
        found["externalReferences"] = [{"type": kind, "url": url} for kind, url in references]
    properties = [("layer", one.layer), ("inside", one.inside), *(("asked", text) for text in one.asked)]
    if given := [*_properties(pair for pair in properties if pair[1]), *_source_of(one)]:
        found["properties"] = given
    if one.paths:
        found["evidence"] = {"occurrences": [{"location": f"/{path}"} for path in one.paths]}
    return found


def _source_of(one: Component) -> list[dict[str, str]]:
    """Return a Debian package's source package, under the names that trivy looks it up by.

    Its lists of holes go by source packages.
    """
    if not one.source:
        return []
    name, version = one.source
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-")
    told = {
        "SrcName": name,
        "SrcEpoch": epoch,
        "SrcVersion": upstream or rest,
        "SrcRelease": revision if upstream else "",
    }
    return [{"name": f"aquasecurity:trivy:{key}", "value": value} for key, value in told.items() if value]


def _licences(licence: Licence) -> list[dict[str, Any]]:
    """Return a licence choice: one expression, or licences of which some have names alone."""
    if not licence.names:
        return [{"expression": licence.expression}]
    names = [*([licence.expression] if licence.expression else []), *licence.names]
    return [{"license": {"name": name}} for name in names]


def _properties(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": f"{_PROPERTY}:{name}", "value": value} for name, value in pairs]


def _dependencies(bill: Bill, embedded: Sequence[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    inside: dict[str, list[str]] = {}
    for one in bill.components:
        inside.setdefault(one.inside or _IMAGE, []).append(one.key)
    for owner, component in embedded:
        inside.setdefault(owner, []).append(component["bom-ref"])
    found: list[dict[str, Any]] = [{"ref": _IMAGE, "dependsOn": inside.get(_IMAGE, [])}]
    for one in bill.components:
        needs = sorted({*one.depends, *inside.get(one.key, [])})
        found.append({"ref": one.key, **({"dependsOn": needs} if needs else {})})
    return found


def _embedded(documents: Sequence[Document]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the components of packages' own bills, with what needs each."""
    for number, document in enumerate(documents):
        owner = document.key or _IMAGE
        for place, one in enumerate(_named(document.data)):
            component = _taken(one, f"{owner}/{number}/{place}")
            pairs = [("inside", document.key), ("from", f"/{document.path}")]
            component["properties"] = _properties(pair for pair in pairs if pair[1])
            yield owner, component


def _named(data: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Yield what a bill names, as CycloneDX has it."""
    if data.get("bomFormat") == "CycloneDX":
        yield from _flat(data.get("components"))
        return
    for name, version, purl, licence in named(data):
        found: dict[str, Any] = {"type": "library", "name": name}
        found |= {key: value for key, value in (("version", version), ("purl", purl)) if value}
        if licence:
            found["licenses"] = _licences(licence)
        yield found


def _flat(components: Any) -> Iterable[dict[str, Any]]:
    for one in objects(components):
        if isinstance(one.get("name"), str):
            yield one
            yield from _flat(one.get("components"))


def _taken(one: dict[str, Any], reference: str) -> dict[str, Any]:
    """Return a component of a package's bill as ours has it: under a reference that nothing else has."""
    found = {key: one[key] for key in (*_FOREIGN, *_FOREIGN_MORE) if key in one}
    if found.get("scope") not in _SCOPES:
        found.pop("scope", None)
    found["bom-ref"] = reference
    found.setdefault("type", "library")
    return found
