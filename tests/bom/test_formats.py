"""Both formats, judged by the validators of those who made them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from cog_nix.bom import cyclonedx, spdx
from cog_nix.bom.collect import Sources, collect
from cog_nix.bom.provenance import Origin, provenance

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.lock.model import Lock


@pytest.fixture
def in_spdx(sources: Sources) -> dict[str, Any]:
    return spdx.render(*collect(sources))


@pytest.fixture
def in_cyclonedx(sources: Sources) -> dict[str, Any]:
    return cyclonedx.render(*collect(sources))


def test_spdx_is_valid(in_spdx: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "sbom.spdx.json"
    path.write_text(json.dumps(in_spdx))
    problems = validate_full_spdx_document(parse_file(str(path)))
    assert [one.validation_message for one in problems] == []


def test_cyclonedx_is_valid(in_cyclonedx: dict[str, Any]) -> None:
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(in_cyclonedx))
    assert found is None, str(found)


def test_package_urls_are_canonical(in_cyclonedx: dict[str, Any]) -> None:
    found = [one["purl"] for one in in_cyclonedx["components"] if "purl" in one]
    assert len(found) > 4
    assert [PackageURL.from_string(one).to_string() for one in found] == found


def test_both_name_the_same(in_spdx: dict[str, Any], in_cyclonedx: dict[str, Any]) -> None:
    components = {(one["name"], one.get("version")) for one in in_cyclonedx["components"]}
    packages = {(one["name"], one.get("versionInfo")) for one in in_spdx["packages"]}
    assert packages == components | {("cog-demo", f"sha256:{'12' * 32}")}
    assert {("serde", "1.0.1"), ("vendored", "4"), ("described", "5")} <= components


def test_what_packages_bring_is_needed_by_them(in_cyclonedx: dict[str, Any]) -> None:
    assert not any("components" in one for one in in_cyclonedx["components"])
    by_reference = {one["bom-ref"]: one["name"] for one in in_cyclonedx["components"]}
    (needs,) = [one["dependsOn"] for one in in_cyclonedx["dependencies"] if one["ref"] == "wheel:demo-pkg"]
    assert {"serde", "vendored", "described", "inner"} <= {by_reference[one] for one in needs}


def test_scanners_find_the_system(in_spdx: dict[str, Any], in_cyclonedx: dict[str, Any]) -> None:
    """By the types that trivy and syft look for."""
    (package,) = [
        one for one in in_spdx["packages"] if one.get("primaryPackagePurpose") == "OPERATING-SYSTEM"
    ]
    (component,) = [one for one in in_cyclonedx["components"] if one["type"] == "operating-system"]
    assert (package["name"], package["versionInfo"]) == ("debian", "13.8")
    assert (component["name"], component["version"]) == ("debian", "13.8")
    assert package["SPDXID"].startswith("SPDXRef-OperatingSystem-")


def test_scanners_find_source_packages(in_spdx: dict[str, Any], in_cyclonedx: dict[str, Any]) -> None:
    """Debian tells of holes by source package."""
    (package,) = [one for one in in_spdx["packages"] if one["name"] == "libc6"]
    assert package["sourceInfo"] == "built package from: glibc 2.41-12"
    (component,) = [one for one in in_cyclonedx["components"] if one["name"] == "added"]
    told = {one["name"]: one["value"] for one in component["properties"]}
    assert told["aquasecurity:trivy:SrcName"] == "added"
    assert [told[f"aquasecurity:trivy:Src{key}"] for key in ("Epoch", "Version", "Release")] == [
        "1",
        "3",
        "1",
    ]


def test_who_asked_is_told(in_spdx: dict[str, Any], in_cyclonedx: dict[str, Any]) -> None:
    (package,) = [one for one in in_spdx["packages"] if one["name"] == "other"]
    assert package["comment"] == "demo-pkg needs other\nin layer python-packages"
    assert package["licenseDeclared"].startswith("LicenseRef-our-own")
    (component,) = [one for one in in_cyclonedx["components"] if one["name"] == "other"]
    assert {"name": "cog-nix:asked", "value": "demo-pkg needs other"} in component["properties"]
    assert component["licenses"] == [{"license": {"name": "our own"}}]


def test_the_same_image_gives_the_same_bytes(sources: Sources) -> None:
    for render in (spdx.render, cyclonedx.render):
        assert json.dumps(render(*collect(sources))) == json.dumps(render(*collect(sources)))


def test_provenance_names_what_was_built_from_and_no_time(lock: Lock, tmp_path: Path) -> None:
    path = tmp_path / "cog.yaml"
    path.write_text("a")
    origin = Origin({"cog.yaml": path}, lock, "https://git.example.org/me/model", "c" * 40, dirty=True)
    found = provenance("r.example.org/me/model", f"sha256:{'12' * 32}", origin)
    assert found["subject"] == [{"name": "r.example.org/me/model", "digest": {"sha256": "12" * 32}}]
    definition = found["predicate"]["buildDefinition"]
    files = {one["name"]: one for one in definition["resolvedDependencies"]}
    assert files["source"]["uri"] == f"git+https://git.example.org/me/model@{'c' * 40}"
    assert files["source"]["annotations"] == {"changed": True}
    assert files["libc6.deb"]["digest"] == {"sha256": hashlib.sha256(b"libc6.deb").hexdigest()}
    assert "metadata" not in found["predicate"]["runDetails"]
