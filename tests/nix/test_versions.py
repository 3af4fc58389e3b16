"""Newer Nix than this machine's makes the same image: Debian's own packages of it, run from a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cog_nix.config.model import Settings
from cog_nix.fetch import CachingFetcher
from cog_nix.paths import cache_dir
from cog_nix.report import SilentReporter
from cog_nix.spec import Context, SystemRequest
from cog_nix_hooks.debian import resolve_system_packages

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """\
build:
  python_version: "3.13"
  run:
    - echo made > /made
run: run.py:run
"""
PROGRAMS = ("nix", "nix-build", "nix-store")

pytestmark = [pytest.mark.nix, pytest.mark.network]


def install_nix(suite: str, folder: Path) -> Path:
    """Unpack a suite's Nix and the libraries it needs; return a folder of programs."""
    reporter = SilentReporter()
    fetcher = CachingFetcher(cache_dir(), reporter)
    context = Context(Settings(), fetcher, reporter, cache_dir())
    found = resolve_system_packages(SystemRequest(suite=suite, groups=(("nix", ("nix-bin",)),)), context)
    assert found is not None
    debs = found.groups["nix"]
    files = fetcher.artifacts([deb.artifact for deb in debs])
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", files[deb.artifact.sha256], folder], check=True)
    programs = folder / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        loader = f"{folder}/usr/lib64/ld-linux-x86-64.so.2 --argv0 {name}"
        libraries = f"--library-path {folder}/usr/lib/x86_64-linux-gnu"
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {loader} {libraries} {folder}/usr/bin/nix "$@"\n')
        script.chmod(0o755)
    return programs


def build(project: Path, store: Path, path: str) -> str:
    """Build without loading; return the name of the image in the store."""
    modules = os.pathsep.join(str(ROOT / part) for part in ("", "hooks", "compat-tests"))
    env = {**os.environ, "PYTHONPATH": modules, "COG_NIX_STORE": str(store), "PATH": path}
    finished = subprocess.run(
        [sys.executable, "-m", "cog_nix", "build", "--no-load"],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return (project / "result").readlink().name


def test_a_newer_nix_makes_the_same_image(tmp_path: Path) -> None:
    project = tmp_path / "model"
    project.mkdir()
    (project / "cog.yaml").write_text(CONFIG)
    (project / "run.py").write_text("def run(text: str) -> str:\n    return text\n")
    programs = install_nix("trixie", tmp_path / "nix")
    version = subprocess.check_output([programs / "nix-build", "--version"], text=True)
    assert version != subprocess.check_output(["nix-build", "--version"], text=True)

    old = build(project, tmp_path / "old", os.environ["PATH"])
    (project / "result").unlink()
    new = build(project, tmp_path / "new", f"{programs}{os.pathsep}{os.environ['PATH']}")

    assert new == old
    contents = [(tmp_path / store / "nix/store" / old).read_bytes() for store in ("old", "new")]
    assert contents[0] == contents[1]
