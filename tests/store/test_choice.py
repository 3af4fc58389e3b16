"""Which Nix is taken: a named one, the machine's, or one that comes with cog-nix."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import NixError
from cog_nix.report import SilentReporter
from cog_nix.store import choice
from cog_nix.store import nix as store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Fake = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_nix_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(choice, "PROFILES", ())
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """Make a folder with a Nix that tells a version, and counts how often it was asked."""

    def make(says: str, name: str = "bin") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for program in ("nix-build", "nix-store"):
            (folder / program).write_text(f'#!/bin/sh\necho x >> "{folder}/asked"\n{says}\n')
            (folder / program).chmod(0o755)
        return folder

    return make


def _choose(environment: dict[str, str], tmp_path: Path, brought: Path | None = None) -> choice.Choice:
    return choice.choose(environment, (lambda: brought) if brought else None, tmp_path / "cache")


@pytest.mark.parametrize(
    "says",
    [
        pytest.param("nix-build (Nix) 2.8.0", id="oldest"),
        pytest.param("nix-build (Nix) 2.34.8", id="newest"),
        pytest.param("nix-build (Lix, like Nix) 2.91.1", id="lix"),
        pytest.param("nix-build (Determinate Nix 3.6.2) 2.29.0", id="determinate"),
        pytest.param("nix-build (Nix) 2.20pre20231201_abc", id="before-a-release"),
    ],
)
def test_a_machines_own_nix_is_preferred(fake: Fake, tmp_path: Path, says: str) -> None:
    folder = fake(f"echo '{says}'")
    found = _choose({"PATH": str(folder)}, tmp_path, tmp_path / "brought")
    assert found == choice.Choice(folder, "machine")


@pytest.mark.parametrize(
    ("says", "why"),
    [
        pytest.param(
            "echo 'nix-build (Nix) 2.6.0'", "is Nix 2.6.0, and cog-nix needs 2.8 or newer", id="old"
        ),
        pytest.param("exit 1", "does not say its version: it does not run", id="broken"),
        pytest.param("echo hello", "does not say its version: hello", id="something-else"),
    ],
)
def test_one_that_will_not_do_is_passed_over(fake: Fake, tmp_path: Path, says: str, why: str) -> None:
    environment = {"PATH": str(fake(says))}
    found = _choose(environment, tmp_path, tmp_path / "brought")
    assert (found.bin_dir, found.origin) == (tmp_path / "brought", "bundled")
    assert why in found.passed_over
    with pytest.raises(NixError, match=why):
        _choose(environment, tmp_path)


def test_a_nix_that_is_passed_over_keeps_its_store(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    environment = {"PATH": str(fake("echo 'nix-build (Nix) 2.6.0'")), "XDG_DATA_HOME": "/data"}
    said: list[str] = []
    reporter: Any = SilentReporter()
    reporter.log = said.append
    found = store.discover(environment, lambda: tmp_path / "brought", reporter)
    assert (found.kind, found.origin, str(found.root)) == ("own", "brought", "/data/cog-nix/store")
    assert len(said) == 1
    assert "2.6.0" in said[0]


def test_a_version_is_asked_for_once_for_each_program(fake: Fake, tmp_path: Path) -> None:
    folder = fake("echo 'nix-build (Nix) 2.8.0'")
    for _ in range(3):
        _choose({"PATH": str(folder)}, tmp_path)
    assert (folder / "asked").read_text() == "x\n"
    fake("echo 'nix-build (Nix) 2.7.99'")
    with pytest.raises(NixError, match=r"2\.7\.99"):
        _choose({"PATH": str(folder)}, tmp_path)


def test_a_damaged_memory_is_made_anew(fake: Fake, tmp_path: Path) -> None:
    folder = fake("echo 'nix-build (Nix) 2.8.0'")
    memory = tmp_path / "cache/programs/versions.json"
    memory.parent.mkdir(parents=True)
    for text in ("", "[1]", '{"x": 1}'):
        memory.write_text(text)
        _choose({"PATH": str(folder)}, tmp_path)
        assert list(json.loads(memory.read_text()).values()) == ["nix-build (Nix) 2.8.0"]


@pytest.mark.parametrize("program", ["", "nix-build"], ids=["folder", "program"])
def test_a_named_one_wins(fake: Fake, tmp_path: Path, program: str) -> None:
    here, named = fake("echo 'nix-build (Nix) 2.8.0'"), fake("echo 'nix-build (Nix) 2.26.3'", "named")
    environment = {"PATH": str(here), "COG_NIX_NIX": str(named / program)}
    assert _choose(environment, tmp_path) == choice.Choice(named, "named")


def test_a_named_one_has_to_be_there_and_new_enough(fake: Fake, tmp_path: Path) -> None:
    with pytest.raises(NixError, match=r"COG_NIX_NIX names .*nowhere, where there is no nix-build"):
        _choose({"COG_NIX_NIX": str(tmp_path / "nowhere")}, tmp_path)
    old = fake("echo 'nix-build (Nix) 2.6.0'")
    with pytest.raises(NixError, match=r"2\.6\.0") as caught:
        _choose({"COG_NIX_NIX": str(old)}, tmp_path)
    assert "COG_NIX_NIX" in caught.value.hint
