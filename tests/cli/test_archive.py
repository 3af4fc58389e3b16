"""What ``cog-nix archive`` says of an archive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cog_nix.archive.folder import FolderArchive
from cog_nix.archive.model import Header
from cog_nix.build.archived import Kept
from cog_nix.cli.archive import document, summary
from cog_nix.lock.model import Artifact
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from pathlib import Path

DEB = Artifact("a.deb", "https://mirror.example.org/a.deb", "a" * 64, 1_000_000)
WHEEL = Artifact("b.whl", "https://index.example.org/b.whl", "b" * 64, 500)


def test_a_line_says_what_came_and_the_next_how_to_use_it() -> None:
    kept = Kept((DEB, WHEEL), frozenset([DEB.sha256]), 1_000_000)
    assert summary("/models", kept).splitlines() == [
        "/models has 2 files, 1 of them new (1.0 MB).",
        "Build from it with:  cog-nix build --from /models",
    ]


def test_a_second_time_nothing_comes() -> None:
    assert "2 files, all of them were there" in summary("/models", Kept((DEB, WHEEL), frozenset(), 0))


def test_what_the_registry_had_for_others_is_not_sent() -> None:
    kept = Kept((DEB, WHEEL), frozenset([DEB.sha256, WHEEL.sha256]), 500)
    assert "2 of them new (1.0 MB, 500 B to be sent)" in summary("oci:it", kept)


def test_what_was_damaged_is_no_news_alone() -> None:
    kept = Kept((DEB, WHEEL), frozenset([WHEEL.sha256]), 500, damaged=frozenset([WHEEL.sha256]))
    assert "1 of them new or mended (500 B)" in summary("/models", kept)


def test_the_list_names_files_by_their_hashes_alone(tmp_path: Path) -> None:
    target = FolderArchive(tmp_path / "models", SilentReporter(), new=True)
    target.add([], Header({"nix": "record"}))
    damaged = frozenset([WHEEL.sha256])
    known = document(target, Kept((DEB, WHEEL), damaged, 500, damaged, ("the Nix package ./tool.nix",)))
    assert json.loads(json.dumps(known)) == {
        "version": 1,
        "archive": str(tmp_path / "models"),
        "files": [
            {"filename": "a.deb", "sha256": DEB.sha256, "size": 1_000_000, "new": False, "damaged": False},
            {"filename": "b.whl", "sha256": WHEEL.sha256, "size": 500, "new": True, "damaged": True},
        ],
        "programs": ["nix"],
        "lacking": ["the Nix package ./tool.nix"],
    }
