"""Programs and libraries of projects and of layers."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import archive

from cog_nix.elf.folder import scan_fragment, scan_project
from cog_nix.elf.scan import DynamicFile, Scan
from tests.elf.made import make_elf

if TYPE_CHECKING:
    from pathlib import Path


def test_a_project_is_read_as_far_as_it_reaches_the_image(tmp_path: Path) -> None:
    for name, data in {
        "lib/libmine.so.1": make_elf("libGL.so.1", soname="libmine.so.1"),
        "tool": make_elf("libz.so.1"),
        "notes": make_elf("libnotrun.so.1"),
        "venv/ignored.so": make_elf("libignored.so.1"),
        "model.bin": b"\x7fELF weights",
        "run.py": b"",
        ".dockerignore": b"venv\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "lib/libmine.so").symlink_to("libmine.so.1")
    (tmp_path / "lib/gone.so").symlink_to("nowhere")
    assert scan_project(tmp_path) == Scan(
        files=(
            DynamicFile("lib/libmine.so.1", ("libGL.so.1",)),
            DynamicFile("notes", ("libnotrun.so.1",)),
            DynamicFile("tool", ("libz.so.1",)),
        ),
        libraries=("lib/gone.so", "lib/libmine.so", "lib/libmine.so.1"),
    )


def test_a_fragment_is_read_from_its_tar(tmp_path: Path) -> None:
    archive.write_fragment(
        tmp_path / "fragment",
        [
            *archive.folders("opt/lib"),
            archive.Entry("opt/lib/libx.so.1", 0o644, data=make_elf("libGL.so.1", runpath="/opt/lib")),
            archive.Entry("opt/lib/libx.so", 0o777, tarfile.SYMTYPE, target="libx.so.1"),
            archive.Entry("opt/tool", 0o755, data=make_elf("libz.so.1", kind=2, strings_first=False)),
            archive.Entry(
                "usr/local/lib/python3.13/site-packages/x/_c.so", 0o644, data=make_elf("libx.so.1")
            ),
            archive.Entry("opt/script", 0o755, data=b"#!/bin/sh\n"),
        ],
        "run",
    )
    assert scan_fragment(tmp_path / "fragment") == Scan(
        files=(
            DynamicFile("opt/lib/libx.so.1", ("libGL.so.1",), ("/opt/lib",)),
            DynamicFile("opt/tool", ("libz.so.1",)),
            DynamicFile("x/_c.so", ("libx.so.1",)),
        ),
        libraries=("opt/lib/libx.so", "opt/lib/libx.so.1", "x/_c.so"),
    )
