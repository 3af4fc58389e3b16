"""The foreign code of a real build tries to get out: a package's postinst, a setup.py, a command."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cog_nix.lock import format as lock_format
from cog_nix.system.paths import cache_dir

from .conftest import PROBE, ROOT, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .conftest import Machine

pytestmark = [
    pytest.mark.nix,
    pytest.mark.network,
    pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="no dpkg-deb"),
]

_SETUP = """\
import subprocess, sys
from setuptools import setup
done = subprocess.run([sys.executable, "escape.py", FACTS], capture_output=True, text=True)
open("found.py", "w").write("FOUND = %r" % (done.stdout + done.stderr))
setup(name="hostile", version="1.0", py_modules=["found"])
"""
_NETWORK = {"see_interfaces", "reach_network", "reach_abstract_socket", "see_abstract_sockets"}
"""What a command of `run:` may have: it shares the machine's network."""


def cog_nix(project: Path, *arguments: str) -> str:
    modules = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    done = subprocess.run(
        [sys.executable, "-m", "cog_nix", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": modules},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def hostile_source(project: Path, facts: str) -> None:
    files = {
        "setup.py": f"FACTS = {facts!r}\n{_SETUP}",
        "escape.py": PROBE.read_text(),
        "PKG-INFO": "Metadata-Version: 2.2\nName: hostile\nVersion: 1.0\n",
    }
    with tarfile.open(project / "hostile-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"hostile-1.0/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))


def make_hostile(project: Path, facts: str) -> None:
    """Put a script into the package that is locked, and the package where downloads are."""
    path = project / "cog-nix.lock"
    lock = lock_format.read(path, None)
    assert lock
    (deb,) = lock.system
    downloads = cache_dir() / "downloads/sha256"
    tree, made = project / "tree", project / "hostile.deb"
    held = downloads / deb.artifact.sha256[:2] / deb.artifact.sha256
    subprocess.run(["dpkg-deb", "-R", held, tree], check=True)
    script = tree / "DEBIAN/postinst"
    script.write_text(
        "#!/usr/bin/python3.13\nimport subprocess, sys\n"
        f"code, facts = {PROBE.read_text()!r}, {facts!r}\n"
        "done = subprocess.run([sys.executable, '-c', code, facts], capture_output=True, text=True)\n"
        "open('/postinst.json', 'w').write(done.stdout + done.stderr)\n"
    )
    script.chmod(0o755)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, made], check=True, capture_output=True)
    data = made.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    (downloads / sha256[:2]).mkdir(exist_ok=True)
    (downloads / sha256[:2] / sha256).write_bytes(data)
    artifact = replace(deb.artifact, sha256=sha256, size=len(data))
    # What was seen of the real one in parts is not said of this one.
    seals = tuple(pair for pair in lock.facts if pair[0] != f"deb:{deb.package}")
    lock_format.write(replace(lock, system=(replace(deb, artifact=artifact),), facts=seals), path)
    shutil.rmtree(tree)
    made.unlink()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, machine: Machine) -> Mapping[str, str]:
    """Return what each place's probes printed, from the layers of the image."""
    project = tmp_path_factory.mktemp("isolation") / "hostile"
    shutil.copytree(ROOT / "examples/hello-world", project)
    hostile_source(project, machine.text)
    (project / "requirements.txt").write_text("./hostile-1.0.tar.gz\n")
    probe = base64.b64encode(PROBE.read_bytes()).decode()
    command = (
        f"echo {probe} | base64 -d > /tmp/escape.py; python3 /tmp/escape.py '{machine.text}' > /run.json"
    )
    config = {
        "build": {
            "python_version": "3.13",
            "python_requirements": "requirements.txt",
            "system_packages": ["figlet"],
            "run": [command],
        },
        "run": "run.py:Runner",
    }
    (project / "cog.yaml").write_text(json.dumps(config))
    cog_nix(project, "lock")
    make_hostile(project, machine.text)
    cog_nix(project, "build", "--no-load", "-t", "cog-nix-test-hostile")
    texts: dict[str, str] = {}
    image = subprocess.run([project / "result"], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(image)) as layers:
        for layer in layers:
            stream = layers.extractfile(layer)
            data = stream.read() if stream else b""
            if not data or data[:1] == b"{" or data[:1] == b"[":
                continue
            with tarfile.open(fileobj=io.BytesIO(data)) as files:
                for file in files:
                    if file.name.rpartition("/")[2] in ("run.json", "postinst.json", "found.py"):
                        text = files.extractfile(file)
                        assert text
                        texts[file.name.rpartition("/")[2]] = text.read().decode()
    return texts


@pytest.mark.parametrize(
    ("place", "allowed"), [("postinst.json", set()), ("found.py", set()), ("run.json", _NETWORK)]
)
def test_foreign_code_stays_where_it_is(place: str, allowed: set[str], found: Mapping[str, str]) -> None:
    text = found[place].replace("\\n", "\n").replace("\\\\", "\\") if place == "found.py" else found[place]
    outcome = Outcome.read(text)
    assert outcome.worked.keys() <= allowed
    assert {"write_swappiness", "open_core_pattern", "signal_machine", "write_file"} <= outcome.refused.keys()
