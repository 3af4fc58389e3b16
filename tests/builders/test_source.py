"""What lands under ``/src``, and what the image learns from the project."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import archive
import configuration
import pytest
import source
from archive import read_index

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = 'build:\n  python_version: "3.13"\nrun: run.py:Runner\n'
MODEL = "import cog\nclass Runner:\n    @cog.concurrent(max=3)\n    async def run(self) -> str: ...\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "cog.yaml").write_text(CONFIG)
    (root / "run.py").write_text(MODEL)
    return root


def built(root: Path, openapi: str = "") -> tuple[dict[str, Any], set[str], bytes]:
    out = root.parent / "out"
    found = root.parent / "configuration.json"
    found.write_text(json.dumps(configuration.read(root, "cog.yaml")))
    spec = {"project": str(root), "config": "cog.yaml", "configuration": str(found)}
    spec |= {"version": "0.23.1", "openapi": openapi}
    source.build(spec, out)
    _, files = read_index(out)
    described = json.loads((out / "config.json").read_text())
    return described, {path for _, _, path in files}, (out / "files.tar").read_bytes()


def test_a_plain_project(project: Path) -> None:
    described, files, _ = built(project)
    assert files == {"src/cog.yaml", "src/run.py", "src/.cog/openapi_schema.json"}
    assert (described["concurrency_max"], described["tracing"]) == (3, [])
    assert described["label"].endswith('"predict":"run.py:Runner","concurrency":{"max":3}}')


def test_a_project_of_a_user(project: Path) -> None:
    entries = [archive.Entry("src", 0o755), archive.Entry("src/run.py", 0o644), archive.Entry(".cog", 0o755)]
    owners = [(entry.uid, entry.gid) for entry in source.owned(entries, [1000, 1001])]
    assert owners == [(1000, 1001), (1000, 1001), (0, 0)]
    _, _, of_root = built(project)
    with tarfile.open(fileobj=io.BytesIO(of_root + archive.END)) as tar:
        assert {member.uid for member in tar} == {0}


def test_tracing(project: Path) -> None:
    section = "observability:\n  config: setup.py\n  traces:\n    enabled: true\n    trace_header: x-trace\n"
    (project / "cog.yaml").write_text(CONFIG + section)
    (project / "setup.py").write_text("def create_tracer_provider(): ...\n")
    (project / ".dockerignore").write_text("setup.py\n")
    described, files, content = built(project)
    assert ".cog/telemetry.py" in files
    assert "src/setup.py" not in files
    assert b"def create_tracer_provider(): ...\n" in content
    assert dict(described["tracing"]) == {
        "COG_TRACE_CONFIGURED": "true",
        "COG_TRACE_ENABLED": "true",
        "COG_TRACE_SAMPLER": "parentbased_always_off",
        "COG_TRACE_HEADER": "x-trace",
        "COG_TRACE_HEADER_FORMAT": "w3c",
        "COG_OBSERVABILITY_CONFIG": "/.cog/telemetry.py",
    }


def test_tracing_that_is_off(project: Path) -> None:
    (project / "cog.yaml").write_text(CONFIG + "observability:\n  traces:\n    enabled: false\n")
    described, files, _ = built(project)
    assert described["tracing"] == []
    assert not any("telemetry" in path for path in files)


def test_weights(project: Path) -> None:
    section = "model: a/b\nweights:\n- {name: w, target: /w, source: {uri: x}}\n"
    (project / "cog.yaml").write_text(CONFIG + section)
    entry = {"name": "w", "target": "/w", "setDigest": "sha256:5"}
    (project / "weights.lock").write_text(json.dumps({"version": 1, "weights": [entry]}))
    (project / ".dockerignore").write_text("weights.lock\n")
    _, files, content = built(project)
    assert "src/.cog/weights.json" in files
    assert "src/weights.lock" not in files
    assert b'"setDigest": "sha256:5"' in content


def test_a_document_that_is_handed_in_is_kept(project: Path) -> None:
    _, _, content = built(project, '{"mine": 1}\n')
    assert b'{"mine": 1}\n' in content


def test_environment_is_read_as_docker_reads_it(project: Path) -> None:
    (project / "cog.yaml").write_text(CONFIG + "environment: [\"A='x y'\", 'B=$LD_LIBRARY_PATH:/z']\n")
    described, _, _ = built(project)
    assert dict(described["environment"])["A"] == "x y"
    assert dict(described["environment"])["B"].endswith("/usr/local/nvidia/bin:/z")


def test_an_edit_waits_for_few_imports() -> None:
    """What the image's builder imports: each of these would cost every edit 5 to 40 ms."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; import image; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    imported = set(ran.stdout.split())
    assert "cog_nix.signature" in imported
    assert not imported & {
        "yaml",
        "dataclasses",
        "inspect",
        "hashlib",
        "argparse",
        "cog_nix.config",
        "unpack",
    }
