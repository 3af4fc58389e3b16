from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from cog_nix.bom.collect import Sources, collect
from cog_nix.bom.contents import Text
from cog_nix.bom.model import Component, Licence, purl
from cog_nix_hooks.debian.database import DPKG

if TYPE_CHECKING:
    from collections.abc import Mapping


def _found(sources: Sources) -> Mapping[str, Component]:
    return {one.key: one for one in collect(sources)[0].components}


def test_a_debian_package_has_all_that_lock_and_image_know(sources: Sources) -> None:
    libc = _found(sources)["deb:libc6"]
    more = "arch=amd64&distro=debian-13.8&upstream=glibc%402.41-12"
    assert libc.purl == f"pkg:deb/debian/libc6@2.41-12%2Bb1?{more}"
    assert libc.sha256 == hashlib.sha256(b"libc6.deb").hexdigest()
    assert libc.licence == Licence("LGPL-2.1-or-later")
    assert libc.asked == ("libc6 is part of the base system",)
    assert libc.layer == "base"
    assert "GNU Libc" in libc.supplier


def test_the_system_is_there_with_its_point_release(sources: Sources) -> None:
    system = _found(sources)["system"]
    assert (system.kind, system.name, system.version) == ("system", "debian", "13.8")


@pytest.mark.parametrize(("told", "version"), [("forky/sid\n", "13"), ("", "13")])
def test_a_system_that_is_not_released_goes_by_its_number(sources: Sources, told: str, version: str) -> None:
    sources.contents.texts[DPKG.release] = Text(told.encode(), "base")
    assert _found(sources)["system"].version == version


def test_a_package_that_a_command_installed_is_there_without_a_hash(sources: Sources) -> None:
    found = _found(sources)
    assert found["deb:added"].version == "1:3-1"
    assert found["deb:added"].sha256 == ""
    assert "deb:gone" not in found


def test_distributions_are_the_locks_or_say_who_brought_them(sources: Sources) -> None:
    found = _found(sources)
    assert found["wheel:demo-pkg"].purl == "pkg:pypi/demo-pkg@1.0?file_name=demo_pkg-1.0.whl"
    assert found["wheel:demo-pkg"].depends == ("wheel:other",)
    names = {one.name: one for one in found.values()}
    assert names["late"].asked[0].startswith("command 1 of cog.yaml left it")
    assert names["inner"].version == "0.1"
    assert names["@scope/page"].purl == "pkg:npm/%40scope/page@7"


def test_everything_else_is_there(sources: Sources) -> None:
    found = _found(sources)
    kinds = {one.kind for one in found.values()}
    assert {"interpreter", "nix", "command", "file", "weights", "npm", "other"} <= kinds
    assert found["interpreter"].version == "3.12.4"
    assert found["file:src/weights.bin"].sha256 == "cd" * 32
    hello = next(one for one in found.values() if one.kind == "nix")
    assert (hello.name, hello.version) == ("hello", "2.12.1")
    copied = next(one for one in found.values() if one.name == "libz")
    assert (copied.version, copied.inside) == ("1.3", "wheel:demo-pkg")


def test_a_module_of_go_programs_is_there_once(sources: Sources) -> None:
    found = {one.name: one for one in _found(sources).values() if one.kind == "golang"}
    two, library = found["example.org/Two/v2"], found["stdlib"]
    assert two.purl == "pkg:golang/example.org/two/v2@v2.0.0%2Bincompatible"
    assert (two.inside, two.asked) == (
        "wheel:demo-pkg",
        ("demo-pkg brings it, at usr/local/lib/python3.13/site-packages/demo_pkg/tool",),
    )
    assert library.purl == "pkg:golang/stdlib@v1.24.2"
    assert [path.rpartition("/")[2] for path in library.paths] == ["late", "tool"]


def test_what_packages_bring_is_handed_on(sources: Sources) -> None:
    documents = collect(sources)[1]
    assert {one.key for one in documents} == {"wheel:demo-pkg"}
    names = [one["name"] for document in documents for one in document.data.get("components", ())]
    assert names == ["serde", "vendored"]


def test_a_package_url_without_a_version() -> None:
    assert purl("generic", "", "a b", "", checksum="") == "pkg:generic/a%20b"
