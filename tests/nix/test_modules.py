"""A builder sees the files that it imports, so an edit repeats only the builds that run what was edited."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/write_modules.py"
MODULES: dict[str, dict[str, list[str]]] = json.loads((ROOT / "nix/modules.json").read_text())


def write(code: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script of a copy of the code."""
    script = code / SCRIPT.relative_to(ROOT)
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """Return a copy of what the library is made of."""
    for name in ("nix", "cog_nix"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    return tmp_path


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_the_file_is_what_the_imports_say() -> None:
    finished = write(ROOT, "--check")
    assert (finished.returncode, finished.stderr) == (0, "")


def test_every_builder_that_nix_starts_is_in_it() -> None:
    texts = [
        path.read_text() for path in (ROOT / "nix").rglob("*.nix") if not path.name.endswith("tests.nix")
    ]
    started = {
        word.split('"')[1]
        for text in texts
        for line in text.splitlines()
        if not line.lstrip().startswith(("/*", "map", "derive {"))
        for word in [line.partition("builder = ")[2], line.partition("derive.many ")[2]]
        if word.startswith('"')
    }
    assert started - {"builtin:fetchurl", "/bin/sh"} == MODULES.keys() | {"${seed}/${host.loader}"}


@pytest.mark.parametrize("builder", MODULES)
def test_a_builder_runs_with_its_modules_alone(builder: str, tmp_path: Path) -> None:
    """Whatever it imports at its start is there; it ends where it looks for what it is told."""
    for source, target in (("nix/builders", "."), ("cog_nix", "cog_nix")):
        for name in MODULES[builder]["builders" if target == "." else "cog_nix"]:
            (tmp_path / target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source / name, tmp_path / target / name)
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    ran = subprocess.run(
        [sys.executable, "-S", "-B", "-c", f"import {builder}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *libraries])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_an_import_in_a_function_counts_and_one_for_types_does_not(code: Path) -> None:
    append(code / "nix/builders/venv.py", "\n\ndef later() -> None:\n    import deb\n")
    append(code / "nix/builders/folder.py", "\n\nif TYPE_CHECKING:\n    import deb\n")
    assert "Run: make docs" in write(code, "--check").stderr
    assert write(code).returncode == 0
    found = json.loads((code / "nix/modules.json").read_text())
    assert {"deb.py", "foreign.py"} <= set(found["venv"]["builders"])
    assert found["folder"] == MODULES["folder"]
    assert write(code, "--check").returncode == 0


def test_packages_and_data_beside_a_module_count() -> None:
    seen = set(MODULES["configuration"]["cog_nix"])
    assert {"__init__.py", "config/__init__.py", "config/schema.json"} <= seen
    assert "bytecode.py" in MODULES["wheel"]["builders"], "started as a program"
    assert MODULES["wheel"]["cog_nix"] == []


_STARTED = """
let
  amd64 = import ./nix/platform.nix { core = ./cog_nix; platform = "linux/amd64"; };
  start = import ./nix/start.nix {
    core = ./cog_nix;
    host = amd64;
    target = amd64;
    python = "3.13";
    seed = "/the/seed";
  };
  modules = builtins.fromJSON (builtins.readFile ./nix/modules.json);
in
builtins.mapAttrs (name: _: (start name).PYTHONPATH) modules
"""


def started(code: Path) -> dict[str, str]:
    """Return where each builder's modules are in the store: what decides whether its builds are repeated."""
    (code / "started.nix").write_text(_STARTED)
    command = ["nix-instantiate", "--store", str(code / "store"), "--eval", "--strict", "--json"]
    ran = subprocess.run(
        [*command, "--read-write-mode", str(code / "started.nix")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, str] = json.loads(ran.stdout)
    return found


@pytest.mark.nix
@pytest.mark.parametrize(
    ("file", "repeated"),
    [
        ("nix/builders/wheel.py", {"wheel", "sdist"}),
        ("nix/builders/installed.py", {"run"}),
        ("cog_nix/signature/choices.py", {"configuration", "image"}),
        ("cog_nix/elf/ldcache.py", {"linker", "run"}),
        ("cog_nix/config/schema.json", {"configuration", "image", "run"}),
        ("cog_nix/config/commands.py", {"run"}),
        ("cog_nix/resolve/system.py", set()),
        ("cog_nix/elf/wheels.zip", set()),
    ],
)
def test_an_edit_repeats_only_what_runs_it(file: str, repeated: set[str], code: Path) -> None:
    before = started(code)
    with (code / file).open("ab") as stream:
        stream.write(b"\n")
    after = started(code)
    assert {builder for builder in before if before[builder] != after[builder]} == repeated
