"""Nix packages in archives: their origins gone, another machine builds the same image from the archive alone.

The flake is a Git repository with another one as its input; its package has the commit's name and time in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.archive.folder import FolderArchive
from cog_nix.report import SilentReporter
from tests.registry.conftest import registry, start_registry  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.nix, pytest.mark.network]

_PACKAGE = """\
{ name, files, text }:
derivation {
  # Makes links; part of every Nix, so nothing else is needed.
  builder = "builtin:buildenv";
  system = "x86_64-linux";
  manifest = "/none";
  derivations = "true 5 1 ${files}";
  inherit name text;
}
"""
_INPUT = '{ outputs = { self }: { lib.text = "taken in"; }; }\n'
_FLAKE = """\
{{
  inputs.words.url = "git+file://{words}";
  outputs = {{ self, words }}: {{
    packages.x86_64-linux.greet = import ./package.nix {{
      name = "greet-${{self.shortRev}}-${{toString self.lastModified}}";
      files = ./files;
      inherit (words.lib) text;
    }};
  }};
}}
"""
_TOOL = """\
{ tool = import ./package.nix { name = "tool"; files = ./files; text = ""; }; }
"""
_ALONE = {"NIX_CONFIG": "substituters ="}


@dataclass(frozen=True)
class Made:
    """A project with Nix packages, built where their origins were; these are gone now."""

    build: Any
    image: str
    """Name of its store path."""
    origins: Path
    """Where its flake and what that takes in were."""
    outputs: tuple[str, ...] = ()
    """Names of the store paths of its packages."""

    def archive(self, name: str) -> dict[str, Any]:
        """Archive it as long as its origins are there."""
        gone = self.origins.with_name("gone")
        if gone.exists():
            gone.rename(self.origins)
        told: dict[str, Any] = json.loads(self.build.run("archive", name, "--json").stdout)
        self.origins.rename(gone)
        return told


def _write(folder: Path, program: str) -> None:
    (folder / "files/bin").mkdir(parents=True)
    (folder / "files/bin" / program).write_text(f"#!/bin/sh\necho {program}\n")
    (folder / "files/bin" / program).chmod(0o755)
    (folder / "package.nix").write_text(_PACKAGE)


def _commit(folder: Path) -> None:
    names = {f"GIT_{who}_{what}": "x@y.z" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run(["git", *command], cwd=folder, env={**os.environ, **names}, check=True)


@pytest.fixture(scope="module")
def made(folder: Path, hello: Any, copy: Callable[..., Path], make_build: Callable[..., Any]) -> Made:
    """Build it in the store that hello-world was built in; remove its flake and what that takes in."""
    first, _ = hello
    words, flake = folder / "origins/words", folder / "origins/flake"
    words.mkdir(parents=True)
    (words / "flake.nix").write_text(_INPUT)
    _commit(words)
    _write(flake, "greet")
    (flake / "flake.nix").write_text(_FLAKE.format(words=words))
    subprocess.run(["git", "init", "-q"], cwd=flake, check=True)
    subprocess.run(["git", "add", "-A"], cwd=flake, check=True)
    features = ["--extra-experimental-features", "nix-command flakes"]
    own = ["--store", str(folder / "lock-store"), *features]
    subprocess.run(["nix", "flake", "lock", *own], cwd=flake, check=True, capture_output=True)
    _commit(flake)
    project = copy("packaged", lock=first.project / "cog-nix.lock")
    _write(project, "tool")
    (project / "tool.nix").write_text(_TOOL)
    packages = json.dumps(["./tool.nix#tool", f"git+file://{flake}#greet"])
    (project / "cog-nix.toml").write_text(f"[nix]\npackages = {packages}\n")
    build = make_build(project, first.store, {**_ALONE, "HOME": str(folder / "home")})
    build.run("build", "--no-load", "--update-lock")
    found = Made(build, build.path().name, folder / "origins")
    assert found.archive(str(folder / "inputs"))["lacking"] == []
    known = FolderArchive(folder / "inputs", SilentReporter()).header.objects
    outputs = tuple(name for name, one in known.items() if not one.content)
    assert sorted(name.partition("-")[2].partition("-")[0] for name in outputs) == ["greet", "tool"]
    return replace(found, outputs=outputs)


@pytest.fixture
def elsewhere(made: Made, folder: Path, make_build: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Return a function that makes a build of the project where there is nothing: no store, no cache."""

    def make(**variables: str) -> Any:
        top = folder / f"elsewhere-{tmp_path.name}"
        project = top / made.build.project.name
        shutil.copytree(made.build.project, project, ignore=shutil.ignore_patterns(".cog", "result"))
        places = {"COG_NIX_CACHE_DIR": str(top / "cache"), "HOME": str(top / "home")}
        return make_build(project, top / "store", {**_ALONE, **places, **variables})

    return make


@pytest.mark.parametrize("kind", ["folder", "file", "registry"])
def test_an_archive_alone_is_enough(
    made: Made, elsewhere: Callable[..., Any], folder: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    archive = str(folder / "inputs")
    if kind == "registry":
        archive = f"oci:{request.getfixturevalue('registry')}/packaged:inputs"
    elif kind == "file":
        archive += ".tar"
    made.archive(archive)
    assert not any(one["new"] for one in made.archive(archive)["files"])
    build = elsewhere()
    build.run("build", "--no-load", "--offline", "--from", archive, "--trust-archive")
    assert build.path().name == made.image
    registered = _registered(build, made.outputs)
    assert all("ultimate" not in line for line in registered), "they came, and were not built"


def test_what_nobody_signed_is_built_again(made: Made, elsewhere: Callable[..., Any], folder: Path) -> None:
    build = elsewhere()
    ran = build.run("build", "--no-load", "--offline", "--from", str(folder / "inputs"))
    assert build.path().name == made.image
    assert "whose key this Nix trusts" in ran.stderr
    assert "--trust-archive" in ran.stderr
    assert all("ultimate" in line for line in _registered(build, made.outputs))


def _registered(build: Any, names: tuple[str, ...]) -> list[str]:
    """Return what a store says of store paths."""
    paths = [f"/nix/store/{name}" for name in names]
    command = ["nix", "path-info", "--extra-experimental-features", "nix-command", "--sigs", *paths]
    told = subprocess.run([*command, "--store", str(build.store)], capture_output=True, text=True, check=True)
    return told.stdout.splitlines()
