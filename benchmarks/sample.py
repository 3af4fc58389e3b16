"""How long it takes to lock projects as people have them: requirements of public models, one by one."""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import ROOT, Row

_CORPUS = ROOT / "tests/hooks/pypi/corpus.json.xz"
"""What ``cog.yaml`` files of public repositories ask for; tests/hooks/pypi/corpus.py says what is missing."""
_EVERY = 4
_PYTHONS = ("3.11", "3.13")
"""Debian has them; other versions come from where not every machine gets."""
_SYSTEM_PACKAGES = ("ffmpeg", "git", "libgl1", "libglib2.0-0")
"""Those that such files name most often."""
_LONGEST = 600
_OURS = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "hooks"))), "COG_NIX_PLUGINS": "0"}


def sample() -> Row:
    """Lock every fourth of the projects for Debian's Pythons, with one cache that is empty at first."""
    every = json.loads(lzma.decompress(_CORPUS.read_bytes()))["projects"]
    projects = [one for one in every if one["python"] in _PYTHONS][::_EVERY]
    values: list[float] = []
    with tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as scratch:
        for number, project in enumerate(projects):
            folder = Path(scratch, f"project-{number}")
            folder.mkdir()
            (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in project["lines"]))
            (folder / "cog.yaml").write_text(_configuration(project["python"], gpu=project["gpu"]))
            (folder / "run.py").write_bytes((ROOT / "examples/hello-world/run.py").read_bytes())
            began = time.perf_counter()
            done = _lock(folder, cache=f"{scratch}/cache")
            seconds = time.perf_counter() - began
            said = " ".join(done.stderr.split())[-200:] if done.returncode else ""
            first = ", ".join(project["lines"][:4])
            print(f"{number:3} {seconds:6.1f} s  {first}  {said}", file=sys.stderr)
            if not done.returncode:
                values.append(seconds)
    print(f"{len(values)} of {len(projects)} could be locked", file=sys.stderr)
    return Row("sample-lock", "s", tuple(values), 10)


def _configuration(python: str, *, gpu: bool) -> str:
    packages = "".join(f"    - {name}\n" for name in _SYSTEM_PACKAGES)
    return (
        f"build:\n  gpu: {json.dumps(gpu)}\n  python_version: {json.dumps(python)}\n"
        f"  python_requirements: requirements.txt\n  system_packages:\n{packages}run: run.py:Runner\n"
    )


def _lock(folder: Path, *, cache: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cog_nix", "lock"],
        cwd=folder,
        env={**os.environ, **_OURS, "COG_NIX_CACHE_DIR": cache, "UV_CACHE_DIR": f"{cache}/uv"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST,
    )
