"""``weights.lock``: does it fit, and what becomes of it in the image. Messages are those of Cog 0.23.1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import Config, Weight, WeightSource
from cog_nix.errors import ConfigError
from cog_nix.weights.lock import canonical_uri, check, manifest, read

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = Config(weights=(Weight("base", "/src/w", (WeightSource("weights", (" b", "a"), None),)),))


def entry(**changes: Any) -> dict[str, Any]:
    source = {"uri": "file://./weights", "fingerprint": "sha256:1", "include": ["a", "b"], "exclude": []}
    given = {"name": "base", "target": "/src/w", "sources": [source], "setDigest": "sha256:5"}
    return {**given, "importedAt": "2026-01-01T00:00:00Z", "files": [], "layers": [], **changes}


def write(root: Path, *entries: dict[str, Any], version: Any = 1) -> None:
    (root / "weights.lock").write_text(json.dumps({"version": version, "weights": entries}))


def test_a_lock_that_fits(tmp_path: Path) -> None:
    write(tmp_path, entry())
    check(tmp_path, CONFIG)
    assert manifest(read(tmp_path)) == (
        '{\n  "weights": [\n    {\n      "name": "base",\n      "target": "/src/w",\n'
        '      "setDigest": "sha256:5"\n    }\n  ]\n}'
    )


def test_the_manifest_has_gos_escapes(tmp_path: Path) -> None:
    write(tmp_path, entry(target="/<é&"))
    assert '"target": "/\\u003cé\\u0026"' in manifest(read(tmp_path))


def test_nothing_is_asked_of_projects_without_weights(tmp_path: Path) -> None:
    (tmp_path / "weights.lock").write_text("{")
    check(tmp_path, Config())


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        pytest.param([], '"base": not imported yet', id="pending"),
        pytest.param(
            [entry(), entry(name="old", target="/o")], '"old": removed from cog.yaml', id="orphaned"
        ),
        pytest.param([entry(target="/x")], '"base": config changed (target: /x → /src/w)', id="target"),
        pytest.param([entry(sources=[])], "(source count: 0 → 1)", id="count"),
        pytest.param(
            [entry(sources=[{"uri": "hf://a/b", "include": ["a"], "exclude": None}])],
            "(uri: hf://a/b → file://./weights; include: [a] → [a b])",
            id="source",
        ),
    ],
)
def test_drift(tmp_path: Path, entries: list[dict[str, Any]], line: str) -> None:
    write(tmp_path, *entries)
    with pytest.raises(ConfigError) as caught:
        check(tmp_path, CONFIG)
    assert caught.value.shown().startswith("weights.lock is out of sync with cog.yaml:\n  - ")
    assert line in caught.value.shown()
    assert "cog-nix weights import" in caught.value.shown()


def test_no_lock_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not imported yet"):
        check(tmp_path, CONFIG)
    with pytest.raises(ConfigError, match="managed weights configured but no lockfile found"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "is not a lock of weights"),
        ("{}", "is not a lock of weights"),
        ('{"version": 2, "weights": []}', r"unsupported weights.lock version 2 \(want 1\)"),
        ('{"version": 1, "weights": [3]}', "is not a lock of weights"),
        ('{"version": 1, "weights": [{"name": 3}]}', "is not a lock of weights"),
    ],
)
def test_a_damaged_lock(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "weights.lock").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read(tmp_path)


@pytest.mark.parametrize(
    ("second", "said"),
    [(entry(target="/o"), 'duplicate weight name "base"'), (entry(name="b", target="/src//w/"), "target")],
    ids=["name", "target"],
)
def test_duplicates(tmp_path: Path, second: dict[str, Any], said: str) -> None:
    write(tmp_path, entry(), second)
    with pytest.raises(ConfigError, match=said):
        read(tmp_path)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("weights", "file://./weights"),
        ("./a/../weights/", "file://./weights"),
        ("file://./weights", "file://./weights"),
        ("//data/w", "file:///data/w"),
        ("file:///data/w", "file:///data/w"),
        ("hf://org/repo@main", "hf://org/repo"),
        ("huggingface://org/repo@v1", "hf://org/repo@v1"),
        ("https://example.org/m.bin?x=1", "https://example.org/m.bin?x=1"),
    ],
)
def test_uris(written: str, canonical: str) -> None:
    assert canonical_uri(CONFIG.weights[0], WeightSource(written)) == canonical


@pytest.mark.parametrize(
    "written",
    [
        ".",
        "../w",
        "file://",
        "hf://repo",
        "hf://a/b/c",
        "hf://a/b@",
        "s3://b/k",
        "https://u:geheim@example.org/x",
    ],
)
def test_uris_that_are_refused(written: str) -> None:
    with pytest.raises(ConfigError, match='weight "base": ') as caught:
        canonical_uri(CONFIG.weights[0], WeightSource(written))
    assert "geheim" not in caught.value.shown()
