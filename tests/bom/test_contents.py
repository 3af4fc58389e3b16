"""What is read of an image's layers."""

from __future__ import annotations

import io
import tarfile

from cog_nix.bom import contents
from cog_nix.elf import golang
from cog_nix_hooks.debian.database import DPKG
from tests.elf.made import make_go

_GO = make_go("dep\texample.org/one\tv1.2.3\n", padding=golang.SMALLEST)


def layer(**files: tuple[int, bytes]) -> io.BytesIO:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, (mode, data) in files.items():
            member = tarfile.TarInfo(f"usr/bin/{name}")
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
    made.seek(0)
    return made


def test_bills_that_packages_bring() -> None:
    site = "usr/local/lib/python3.13/site-packages"
    assert contents.Contents(DPKG).matters(f"{site}/pip/_vendor/bom.cdx.json")
    assert contents.Contents(DPKG).matters(f"{site}/pip-26.3.dist-info/sboms/anything")
    assert not contents.Contents(DPKG).matters("src/sbom.cdx.json")
    assert not contents.Contents(DPKG).matters("usr/local/share/sbom/sbom.spdx.json")


def test_go_programs_that_are_left() -> None:
    found = contents.Contents(DPKG)
    lower = {"kept": (0o755, _GO), "gone": (0o755, _GO), "other": (0o755, _GO), "text": (0o644, _GO)}
    contents._read_layer(found, "lower", layer(**lower))
    assert sorted(found.programs) == ["usr/bin/gone", "usr/bin/kept", "usr/bin/other"]
    upper = {".wh.gone": (0o644, b""), "other": (0o755, b"#!/bin/sh\n")}
    contents._read_layer(found, "upper", layer(**upper))
    ((path, (modules, name)),) = found.programs.items()
    assert (path, name) == ("usr/bin/kept", "lower")
    assert golang.Module("example.org/one", "v1.2.3") in modules
