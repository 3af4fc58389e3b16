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
from urllib.parse import parse_qsl

import pytest

from cog_nix.archive.folder import FolderArchive
from cog_nix.report import SilentReporter
from cog_nix.store.paths import hexadecimal, nar_hash
from cog_nix.system.keys import KEY_VARIABLE, SecretKey
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
      name = "{name}";
      files = ./files;
      inherit (words.lib) text;
    }};
  }};
}}
"""
_TOOL = """\
{{
  tool = import ./package.nix {{
    name = "tool";
    files = ./files;
    text = import (fetchTarball {{ url = "file://{tar}"; sha256 = "{sri}"; }});
  }};
}}
"""
_COMMIT = "greet-${self.shortRev}-${toString self.lastModified}"
_FEATURES = ("--extra-experimental-features", "nix-command flakes")
_ALONE = {"NIX_CONFIG": "substituters =\nsandbox-paths ="}


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

    def archive(self, name: str, **variables: str) -> dict[str, Any]:
        """Archive it as long as its origins are there."""
        build = replace(self.build, environment={**self.build.environment, **variables})
        gone = self.origins.with_name("gone")
        if gone.exists():
            gone.rename(self.origins)
        told: dict[str, Any] = json.loads(build.run("archive", name, "--json").stdout)
        self.origins.rename(gone)
        return told


def _write(folder: Path, program: str) -> None:
    (folder / "files/bin").mkdir(parents=True)
    (folder / "files/bin" / program).write_text(f"#!/bin/sh\necho {program}\n")
    (folder / "files/bin" / program).chmod(0o755)
    (folder / "package.nix").write_text(_PACKAGE)


def _origin(folder: Path, flake: str, store: Path) -> None:
    """Make a repository with a flake."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flake.nix").write_text(flake)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    _lock(folder, store)
    names = {f"GIT_{who}_{what}": "x@y.z" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for command in (["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run(["git", *command], cwd=folder, env={**os.environ, **names}, check=True)


def _lock(folder: Path, store: Path) -> None:
    command = ["nix", "flake", "lock", *_FEATURES, "--store", str(store)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def made(folder: Path, hello: Any, copy: Callable[..., Path], make_build: Callable[..., Any]) -> Made:
    """Build it in the store that hello-world was built in; remove its flake and what that takes in."""
    first, _ = hello
    origins, store = folder / "origins", folder / "lock-store"
    for name in ("words", "more-words"):
        _origin(origins / name, _INPUT.replace("taken in", name), store)
    _write(origins / "flake", "greet")
    _origin(origins / "flake", _FLAKE.format(words=origins / "words", name=_COMMIT), store)
    project = copy("packaged", lock=first.project / "cog-nix.lock")
    for place, program in ((project, "tool"), (project / "flake", "own")):
        _write(place, program)
    (origins / "pinned").mkdir()
    (origins / "pinned/default.nix").write_text('"pinned"')
    tar = shutil.make_archive(str(origins / "pinned"), "gztar", origins, "pinned")
    (project / "tool.nix").write_text(_TOOL.format(tar=tar, sri=nar_hash(origins / "pinned")))
    (project / "flake/flake.nix").write_text(_FLAKE.format(words=origins / "more-words", name="own"))
    _lock(project / "flake", store)
    packages = json.dumps(["./tool.nix#tool", f"git+file://{origins}/flake#greet", "./flake#greet"])
    (project / "cog-nix.toml").write_text(f"[nix]\npackages = {packages}\n")
    build = make_build(project, first.store, {**_ALONE, "HOME": str(folder / "home")})
    build.run("build", "--no-load", "--update-lock")
    found = Made(build, build.path().name, origins)
    assert found.archive(str(folder / "inputs"))["lacking"] == []
    known = FolderArchive(folder / "inputs", SilentReporter()).header.objects
    outputs = tuple(name for name, one in known.items() if not one.content)
    assert sorted(name.partition("-")[2].partition("-")[0] for name in outputs) == ["greet", "own", "tool"]
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
    made: Made,
    elsewhere: Callable[..., Any],
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    """Its word is taken where the user says so, or for what a trusted key has signed."""
    archive, trust = str(made.origins.with_name("inputs")), ["--trust-archive"]
    public, secret = SecretKey.make("team-1", tmp_path / "secret"), {}
    if kind == "registry":
        archive = f"oci:{request.getfixturevalue('registry')}/packaged:inputs"
    elif kind == "file":
        archive, trust = f"{archive}.tar", []
        secret = {KEY_VARIABLE: str(tmp_path / "secret")}
    made.archive(archive, **secret)
    assert not any(one["new"] for one in made.archive(archive)["files"])
    build = elsewhere(COG_NIX_TRUSTED_PUBLIC_KEYS=public)
    build.run("build", "--no-load", "--offline", "--from", archive, *trust)
    assert build.path().name == made.image
    registered = _registered(build, made.outputs)
    assert all("ultimate" not in line for line in registered), "they came, and were not built"


def test_what_is_signed_is_taken_and_the_rest_built(
    made: Made, elsewhere: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    public = SecretKey.make("team-1", tmp_path / "secret")
    (greet,) = (name for name in made.outputs if "-greet-" in name)
    (tool,) = (name for name in made.outputs if name.endswith("-tool"))
    signing = [
        "nix",
        "store",
        "sign",
        *_FEATURES,
        "--key-file",
        str(tmp_path / "secret"),
        f"/nix/store/{greet}",
    ]
    subprocess.run([*signing, "--store", str(made.build.store)], check=True)
    made.archive(str(folder / "inputs"))
    build = elsewhere(COG_NIX_TRUSTED_PUBLIC_KEYS=public)
    ran = build.run("build", "--no-load", "--offline", "--from", str(folder / "inputs"))
    assert build.path().name == made.image
    assert "the archive has of own, tool is left alone" in " ".join(ran.stderr.split())
    assert "--trust-archive" in ran.stderr
    assert ["ultimate" in line for line in _registered(build, (greet, tool))] == [False, True]


def test_what_is_damaged_is_built_and_mended(
    made: Made, elsewhere: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "inputs"
    shutil.copytree(folder / "inputs", archive)
    known = FolderArchive(archive, SilentReporter()).header.objects
    (greet,) = (one for one in known.values() if "-greet-" in one.name)
    file = archive / "sha256" / greet.sha256[:2] / greet.sha256
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"x")
    build = elsewhere()
    ran = build.run("build", "--no-load", "--offline", "--from", str(archive), "--trust-archive")
    assert f"sha256 {greet.sha256}" in ran.stderr
    assert build.path().name == made.image
    told = json.loads(made.build.run("archive", str(archive), "--check", "--json").stdout)
    assert [one["sha256"] for one in told["files"] if one["damaged"]] == [greet.sha256]
    assert file.read_bytes() == whole


def test_a_source_that_is_lost_is_named(
    made: Made, elsewhere: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "inputs"
    shutil.copytree(folder / "inputs", archive)
    lock = json.loads((made.build.project / "cog-nix.lock").read_text())
    (flake,) = (one["flake"] for one in lock["packages"] if "narHash=" in one["flake"])
    digest = hexadecimal(dict(parse_qsl(flake.partition("?")[2]))["narHash"])
    (archive / "sha256" / digest[:2] / digest).unlink()
    build = elsewhere()
    ran = build.run("build", "--no-load", "--offline", "--from", str(archive), check=False)
    assert ran.returncode == 1
    said = ran.stderr.partition("error:")
    for part in (said[0], said[2]):
        assert f"the source of the flake git+file://{made.origins}/flake#greet" in part
    (archive / "sha256" / digest[:2] / digest).write_bytes(b"nix-archive-1")
    ran = build.run("build", "--no-load", "--offline", "--from", str(archive), check=False)
    assert ran.returncode == 1
    assert f"sha256 {digest}. `cog-nix archive --check" in ran.stderr


def _registered(build: Any, names: tuple[str, ...]) -> list[str]:
    """Return what a store says of store paths, in the order of these; Nix has its own."""
    paths = [f"/nix/store/{name}" for name in names]
    command = ["nix", "path-info", *_FEATURES, "--sigs", *paths]
    told = subprocess.run([*command, "--store", str(build.store)], capture_output=True, text=True, check=True)
    said = {line.split()[0]: line for line in told.stdout.splitlines()}
    return [said[path] for path in paths]
