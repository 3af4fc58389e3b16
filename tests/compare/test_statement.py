"""The in-toto Statement of a verification (in-toto attestation framework, Statement v1, Test Result 0.1)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cog_nix.compare.images import compare
from cog_nix.compare.source import Source
from cog_nix.compare.statement import statement
from cog_nix.compare.verification import Attempt, Verification, assumed_labels
from cog_nix.config.model import Project

from .samples import image, layer

if TYPE_CHECKING:
    from pathlib import Path

BASE, OTHER = layer({"a": "1"}), layer({"a": "2"})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for name in ("cog.yaml", "cog-nix.lock"):
        (tmp_path / name).write_text(name)
    return Project(tmp_path, tmp_path / "cog.yaml")


def test_what_is_the_same_has_passed(project: Project) -> None:
    one = replace(image(BASE, title="registry.example.org/model:v1"), manifests=("sha256:12",))
    found = Verification(one, (Attempt("as here", compare(one, image(BASE))),), {})
    assert statement(found, project, Source("", "abc")) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "registry.example.org/model:v1", "digest": {"sha256": "12"}}],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": "PASSED",
            "configuration": [
                {"name": name, "digest": {"sha256": hashlib.sha256(name.encode()).hexdigest()}}
                for name in ("cog-nix.lock", "cog.yaml")
            ]
            + [{"name": "source", "digest": {"gitCommit": "abc"}}],
            "passedTests": ["as here: configuration", "as here: layer 0"],
            "failedTests": [],
        },
    }


def test_what_differs_has_failed_in_the_parts_that_do(project: Project) -> None:
    one = image(BASE, OTHER)
    attempts = (Attempt("as here", compare(one, one)), Attempt("TZ=x", compare(one, image(BASE, BASE))))
    found = Verification(one, attempts, {})
    predicate = statement(found, project, None)["predicate"]
    assert predicate["result"] == "FAILED"
    assert predicate["failedTests"] == ["TZ=x: layer 1"]
    assert "TZ=x: layer 0" in predicate["passedTests"]
    assert not found.same
    assert statement(found, project, None)["subject"][0]["digest"]["sha256"] == one.id.removeprefix("sha256:")


def test_json_has_all_builds() -> None:
    one = image(BASE)
    found = Verification(one, (Attempt("as here", compare(one, image(OTHER))),), {"a": "b"}, ("user: none",))
    plain = json.loads(json.dumps(found.plain()))
    assert (plain["same"], plain["manifest"], plain["not_varied"]) == (False, None, ["user: none"])
    assert plain["assumed_labels"] == {"a": "b"}
    assert plain["builds"][0]["first_layer"]["files"][0]["path"] == "a"


def test_labels_that_only_the_image_tells_are_taken_from_it() -> None:
    labels = {"run.cog.version": "1", "org.example.team": "x", "org.opencontainers.image.revision": "abc"}
    known = {"org.opencontainers.image.revision": "def"}
    assert assumed_labels(image(BASE, Labels=labels), known) == {"org.example.team": "x"}
    assert assumed_labels(image(BASE), known) == {}
