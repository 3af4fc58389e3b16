"""Nix packages and folders as fragments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import archive
import closure
import folder
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _registration(*paths: tuple[str, tuple[str, ...]]) -> str:
    """Return what Nix writes for exportReferencesGraph."""
    return "".join(
        "\n".join([path, "/nix/store/some.drv", str(len(references)), *references, ""])
        for path, references in paths
    )


def test_references_are_read_with_and_without_any(tmp_path: Path) -> None:
    graph = tmp_path / "references-0"
    graph.write_text(_registration(("/s/a", ("/s/b", "/s/c")), ("/s/b", ()), ("/s/c", ("/s/b",))))
    assert closure.read_references(graph) == {"/s/a", "/s/b", "/s/c"}
    graph.write_text("")
    assert closure.read_references(graph) == set()


def test_a_closure_is_what_lower_layers_lack(
    store: Path, tmp_path: Path, read: Callable[[Path], object]
) -> None:
    tool, library, text = tmp_path / "tool", tmp_path / "library", tmp_path / "text"
    (tool / "bin").mkdir(parents=True)
    (tool / "bin/tool").write_text("#!/bin/sh\n")
    (tool / "bin/tool").chmod(0o555)
    library.mkdir()
    (library / "part.so").write_text("x")
    text.write_text("a file may be a store path")
    every = {str(path) for path in (tool, library, text)}
    entries = {entry.path: entry for entry in closure.entries(tool, every, {str(library)})}
    assert f"{tool}/bin/tool".lstrip("/") in entries
    assert str(text).lstrip("/") in entries
    assert not [path for path in entries if "library" in path]
    assert entries["usr/local/bin/tool"].target == f"{tool}/bin/tool"
    out = store / "out"
    archive.write_fragment(out, entries.values(), "tool")
    assert read(out)


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("/opt/voices", {"opt", "opt/voices", "opt/voices/a.txt"}),
        ("opt/", {"opt", "opt/a.txt"}),
        ("/", {"a.txt"}),
    ],
)
def test_a_folder_lands_where_it_is_said_to(to: str, expected: set[str], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("la")
    assert {entry.path for entry in folder.entries(tmp_path, to)} == expected


def test_a_file_lands_under_its_new_name(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("la")
    assert [entry.path for entry in folder.entries(path, "/opt/b.txt")] == ["opt", "opt/b.txt"]
    assert [entry.path for entry in folder.entries(path, "/b.txt")] == ["b.txt"]
