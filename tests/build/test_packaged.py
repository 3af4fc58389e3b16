"""What is known of a project's flakes without Nix, and which of them an archive can give."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from cog_nix.archive.model import Header
from cog_nix.build import packaged
from cog_nix.config.model import Project
from cog_nix.lock.model import NixPackage
from cog_nix.report import SilentReporter
from cog_nix.store.failures import UnexpectedAnswerError
from cog_nix.store.nix import Nix
from cog_nix.store.paths import tree_path
from tests.lock.conftest import make_lock

if TYPE_CHECKING:
    from pathlib import Path

SRI = f"sha256-{'a' * 41}+8="
QUOTED = quote(SRI, safe="")
OTHER = f"sha256-{'b' * 43}="
SOURCE = tree_path(SRI, "source")
FLAKE = NixPackage(
    "git+https://forge.example.org/tools#greet",
    "",
    f"git+https://forge.example.org/tools?rev={'0' * 40}&narHash={QUOTED}",
    "greet",
)
IN_A_FOLDER = replace(FLAKE, reference="in-a-folder", flake=f"{FLAKE.flake}&dir=part")
OF_THE_PROJECT = NixPackage("./flake", "", "./flake", "")
LOCKS = {
    "version": 7,
    "nodes": {"root": {"inputs": {"a": "a"}}, "a": {"locked": {"narHash": OTHER}}, "b": {}},
}


@pytest.fixture
def nix(tmp_path: Path) -> Nix:
    """Return a Nix that says its version, and holds what is there."""
    (tmp_path / "bin").mkdir()
    for name, said in (("nix-build", "echo nix-build '(Nix)' 2.26.3"), ("nix-store", "true")):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{said}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return Nix(tmp_path / "bin", "own", tmp_path / "store")


def _hold(nix: Nix) -> None:
    nix.real(SOURCE).mkdir(parents=True)


def test_a_flake_s_own_lock_has_the_hashes_of_what_it_takes_in(tmp_path: Path) -> None:
    assert packaged.inputs_of(tmp_path) == set()
    (tmp_path / "flake.lock").write_text(json.dumps(LOCKS))
    assert packaged.inputs_of(tmp_path) == {OTHER}


def test_a_lock_that_is_none_has_none(tmp_path: Path) -> None:
    (tmp_path / "flake.lock").symlink_to("/dev/zero")
    assert packaged.inputs_of(tmp_path) == set()


def test_what_its_files_do_not_tell_is_kept_as_a_query() -> None:
    locked = {"type": "git", "url": "x", "rev": "0" * 40, "revCount": 3, "lastModified": 12, "narHash": SRI}
    told = packaged.Told.parse(json.dumps({"locked": locked, "locks": LOCKS}))
    assert told.query == f"lastModified=12&rev={'0' * 40}&revCount=3"
    assert told.inputs == {OTHER}
    with pytest.raises(UnexpectedAnswerError):
        packaged.Told.parse('{"locked": {}}')


def test_a_flake_in_the_store_says_what_the_lock_s_says() -> None:
    query = f"lastModified=12&rev={'0' * 40}&dir=../elsewhere&url=x"
    path = f"path:{SOURCE}?lastModified=12&rev={'0' * 40}"
    assert packaged._reference(FLAKE, query) == f"{path}&narHash={QUOTED}"
    assert "&dir=part&" in packaged._reference(IN_A_FOLDER, query)


def test_a_flake_whose_source_is_not_here_is_named(nix: Nix) -> None:
    lock = replace(make_lock(), packages=(FLAKE, OF_THE_PROJECT))
    assert packaged.absent_flakes(lock, nix) == {FLAKE: f"the source of the flake {FLAKE.reference}"}
    _hold(nix)
    assert packaged.absent_flakes(lock, nix) == {}


def test_a_flake_in_a_folder_takes_a_newer_nix(nix: Nix) -> None:
    lock = replace(make_lock(), packages=(FLAKE, IN_A_FOLDER))
    _hold(nix)
    assert packaged.absent_flakes(lock, nix) == {}
    (nix.bin_dir / "nix-build").write_text("#!/bin/sh\necho nix-build '(Nix)' 2.8.0\n")
    (said,) = packaged.absent_flakes(lock, nix).values()
    assert "in-a-folder" in said
    assert "2.26" in said


def test_a_flake_that_is_archived_has_its_inputs_there_or_they_are_named(nix: Nix, tmp_path: Path) -> None:
    metadata = {"locked": {"rev": "0" * 40, "lastModified": 12}, "locks": LOCKS}
    for name, answer in (("nix", json.dumps(metadata)), ("nix-instantiate", "[]")):
        (nix.bin_dir / name).write_text(f"#!/bin/sh\necho '{answer}'\n")
        (nix.bin_dir / name).chmod(0o755)
    _hold(nix)
    lock = replace(make_lock(), packages=(FLAKE,))
    project = Project(tmp_path, tmp_path / "cog.yaml")
    without = packaged.of_store(project, lock, nix, SilentReporter())
    assert without.header == Header(flakes={FLAKE.flake: f"lastModified=12&rev={'0' * 40}"})
    assert [one.path for one in without.nars] == [SOURCE]
    (said,) = without.lacking
    assert said.startswith(f"what the flake {FLAKE.reference} takes in")
    (nix.real(SOURCE) / "flake.lock").write_text(json.dumps(LOCKS))
    found = packaged.of_store(project, lock, nix, SilentReporter())
    assert [one.path for one in found.nars] == [SOURCE, tree_path(OTHER, "source")]
    assert found.lacking == ()


def test_what_a_file_fetches_by_hash_comes_and_the_rest_is_named(nix: Nix, tmp_path: Path) -> None:
    files = {
        "plain.nix": "{ pkgs }: pkgs.fetchurl { }",
        "pinned.nix": f'import (fetchTarball {{ url = ./x; sha256 = "{SRI}"; }}) {{ }}',
        "any.nix": "import (fetchTarball ./x) { }",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (nix.bin_dir / "nix-instantiate").write_text("#!/bin/sh\necho '[]'\n")
    (nix.bin_dir / "nix-instantiate").chmod(0o755)
    _hold(nix)
    packages = tuple(NixPackage(f"./{name}", name, "", "") for name in files)
    project = Project(tmp_path, tmp_path / "cog.yaml")
    found = packaged.of_store(project, replace(make_lock(), packages=packages), nix, SilentReporter())
    assert [one.path for one in found.nars] == [SOURCE]
    assert found.lacking == ("what ./any.nix fetches itself",)


@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_a_hash_in_a_file_is_read_in_both_forms(prefix: str) -> None:
    # SHA-256 of "abc" (FIPS 180-2, B.1), as nix-hash has it
    hashed = "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s"
    sri = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    assert packaged.pins_of(f'{{ a = "{prefix}{hashed}"; b = "{OTHER}"; }}') == [sri, OTHER]
