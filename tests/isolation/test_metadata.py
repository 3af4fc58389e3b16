"""A source's build backend, asked for metadata while a lock is made, is kept from the machine."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from cog_nix_hooks.pypi.explain import explain

from .conftest import PROBE, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Machine, Person

pytestmark = [pytest.mark.root]

SECRET = "correct-horse-battery-stable"  # noqa: S105 - what must not be seen
_PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
_PROJECT = '[project]\nname = "hostile"\nversion = "1.0"\ndynamic = ["dependencies"]\n'
_PROBES = """\
import os, subprocess, sys
def prepare_metadata_for_build_wheel(folder, settings=None):
    done = subprocess.run([sys.executable, "escape.py", FACTS], capture_output=True, text=True)
    sys.exit(done.stdout + done.stderr)
"""
_LOOK = """\
import json, os, sys
def prepare_metadata_for_build_wheel(folder, settings=None):
    sys.exit("SEEN " + json.dumps({"variables": sorted(os.environ), "root": os.listdir("/"),
        "home": os.listdir(os.environ["HOME"]), "user": os.getuid(), "arguments": sys.argv}))
"""
_LINKS = """\
import os
def prepare_metadata_for_build_wheel(folder, settings=None):
    os.mkdir(folder + "/hostile-1.0.dist-info")
    with open(folder + "/hostile-1.0.dist-info/METADATA", "w") as stream:
        stream.write("Metadata-Version: 2.1\\nName: hostile\\nVersion: 1.0\\nRequires-Dist: other==1\\n")
    os.symlink(CANARY, folder + "/hostile-1.0.dist-info/entry_points.txt")
    return "hostile-1.0.dist-info"
"""
_COMPILE = """\
import os, subprocess, sys, uv
from pathlib import Path
from cog_nix_hooks.pypi import backends
command = [uv.find_uv_bin(), "pip", "compile", "-", "--no-index", "--no-deps", "--python-version", "3.13"]
command += ["--cache-dir", "uv", "--python", backends.python(Path("cache").absolute(), os.environ)]
environment = {**os.environ, "PYTHONPATH": ""}
done = subprocess.run(command, input="./hostile-1.0.tar.gz\\n", text=True, env=environment)
sys.exit(done.returncode)
"""


def source(folder: Path, backend: str) -> None:
    with tarfile.open(folder / "hostile-1.0.tar.gz", "w:gz") as archive:
        files = {
            "pyproject.toml": _PYPROJECT + _PROJECT,
            "backend.py": backend,
            "escape.py": PROBE.read_text(),
        }
        for name, text in files.items():
            info = tarfile.TarInfo(f"hostile-1.0/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    (folder / "hostile-1.0.tar.gz").chmod(0o644)


def test_it_cannot_get_out(person: Person, home: Path, machine: Machine) -> None:
    source(home, f"FACTS = {machine.text!r}\n{_PROBES}")
    done = person.run("-c", _COMPILE, cwd=home)
    assert done.returncode
    found = Outcome.read(done.stderr)
    assert found.worked == {}
    assert {"write_swappiness", "open_core_pattern", "reach_network", "read_file"} <= found.refused.keys()


def test_it_sees_neither_variables_nor_the_home(person: Person, home: Path) -> None:
    source(home, _LOOK)
    (home / ".netrc").write_text(SECRET)
    done = person.run("-c", _COMPILE, cwd=home, UV_INDEX_PASSWORD=SECRET, TOKEN=SECRET)
    assert "SEEN " in done.stderr
    assert SECRET not in done.stderr
    assert "TOKEN" not in done.stderr
    assert ".netrc" not in done.stderr


def test_what_it_answers_counts_and_links_that_it_leaves_do_not(
    person: Person, home: Path, machine: Machine
) -> None:
    source(home, f"CANARY = {machine.facts['file']!r}\n{_LINKS}")
    done = person.run("-c", _COMPILE, cwd=home)
    assert done.returncode == 0, done.stderr
    assert "hostile-1.0.tar.gz" in done.stdout
    assert list((home / "uv").rglob("entry_points.txt")) == []


def test_where_there_are_no_namespaces_it_is_not_run(person: Person, home: Path) -> None:
    source(home, _LINKS)
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    program = (
        "import os, sys\n"
        f"python = [sys.executable, '-B', '-c', {_COMPILE!r}]\n"
        f"command = ['unshare', '-Ur', 'sh', '-c', {forbid!r}, 'sh', *python]\n"
        "os.execvp(command[0], command)"
    )
    done = person.run("-c", program, cwd=home)
    assert done.returncode
    assert "user namespaces are not available to this build" in done.stderr
    said = explain(done.stderr, asked_in="requirements.txt", python_version="3.13")
    assert "cannot be asked in a sandbox here" in said.message
    assert "COG_NIX_UNCONFINED_METADATA=1" in said.hint
