"""From an installed wheel to the first answer, on a machine that has Python and nothing else."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import ROOT, Row, run
from tests import hosts

_TARGET = 40.0


def first_answer() -> Row:
    """Run hello-world as a plain user without Nix, from an installed wheel to the answer, with downloads."""
    if os.geteuid() != 0:
        sys.exit("The benchmark first-answer lays a machine out in namespaces, so it needs to be root.")
    with tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as name:
        folder = Path(name)
        (folder / "wheel").mkdir()
        wheel = run([ROOT / "scripts/wheel"], ROOT).split()[-1]
        shutil.copy(ROOT / wheel, folder / "wheel")
        folder.chmod(0o755)
        binds = {"/wheel": folder / "wheel", "/example": ROOT / "examples/hello-world"}
        with hosts.Host(hosts.bootstrap(*hosts.PLAIN), folder / "machine", binds=binds) as host:
            hosts.strip(host)
            values = tuple(_once(host) for _ in range(3))
    return Row("first-answer", "s", values, _TARGET)


def _once(host: hosts.Host) -> float:
    """Install the wheel; return the seconds from then to the answer."""
    _as_user(host, "chmod -Rf u+w .local; rm -rf .local .cache venv hello; true")
    _as_user(host, "python3 -m venv venv && venv/bin/pip install --quiet /wheel/*.whl")
    _as_user(host, "mkdir hello && cp /example/*.py /example/cog.yaml hello")
    began = time.perf_counter()
    answer = _as_user(host, "cd hello && ../venv/bin/cog-nix run -i text=world")
    seconds = time.perf_counter() - began
    if answer != "hello world\n":
        sys.exit(f"The model answered {answer!r}.")
    return seconds


def _as_user(host: hosts.Host, script: str) -> str:
    nowhere = {"DOCKER_HOST": "unix:///nonexistent.sock"}
    return host.check(["sh", "-c", script], user=hosts.USER, env=nowhere, timeout=600)
