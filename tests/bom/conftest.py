"""An image's files and its lock, small and made by hand."""

from __future__ import annotations

import hashlib
import json

import pytest

from cog_nix.bom.collect import Sources
from cog_nix.bom.contents import OS_RELEASE, Contents, Text
from cog_nix.elf.golang import Module
from cog_nix.lock.model import Artifact, Deb, Index, Interpreter, Lock, Run, Seed, Wheel
from cog_nix_hooks.debian.database import DPKG

_MIRROR = "https://mirror.example.org"
_FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
_PACKAGES = "python-packages"
_PAGE = '{"name": "@scope/page", "version": "7", "license": "ISC"}'
_SITE = "usr/local/lib/python3.13/site-packages"
_STATUS = """\
Package: libc6
Status: install ok installed
Version: 2.41-12+b1
Architecture: amd64
Source: glibc (2.41-12)
Maintainer: GNU Libc Maintainers <libc@example.org>

Package: gone
Status: deinstall ok config-files
Version: 1

Package: added
Status: install ok installed
Version: 1:3-1
Architecture: all
"""


def artifact(name: str) -> Artifact:
    return Artifact(name, f"{_MIRROR}/{name}", hashlib.sha256(name.encode()).hexdigest(), 9)


def made_lock() -> Lock:
    return Lock(
        inputs="sha256:1",
        suite="trixie",
        indexes=(Index(_MIRROR, "trixie", "main", "amd64", "2026-01-02T03:04:05Z", "0" * 64),),
        seed=Seed("3.13", (), (), "sha256-x"),
        interpreter=Interpreter(
            "standalone", "3.12.4", "/usr/local/bin/python3.12", artifact("cpython.tar.gz")
        ),
        base=(Deb("libc6", "2.41-12+b1", "amd64", artifact("libc6.deb")),),
        essential=(),
        python=(),
        system=(),
        wheels=(
            Wheel("demo-pkg", "1.0", artifact("demo_pkg-1.0.whl"), depends=("other",)),
            Wheel("other", "2", artifact("other-2.whl")),
        ),
        runs=(Run("pip install late", "sha256:k", "sha256-r"),),
        layers=(("base", ("deb:libc6",)), (_PACKAGES, ("wheel:demo-pkg", "wheel:other"))),
    )


def made_contents() -> Contents:
    crates = {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [
        {"type": "library", "name": "serde", "version": "1.0.1", "purl": "pkg:cargo/serde@1.0.1",
         "licenses": [{"expression": "MIT OR Apache-2.0"}], "bom-ref": "x"}]}  # fmt: skip
    vendored = {"bomFormat": "CycloneDX", "components": [{"name": "vendored", "version": "4"}]}
    described = {
        "spdxVersion": "SPDX-2.3",
        "packages": [{"name": "described", "versionInfo": "5", "licenseDeclared": "MIT"}],
    }
    files = {
        DPKG.index: (_STATUS, "python"),
        OS_RELEASE: ('ID=debian\nVERSION_ID="13"\n', "base"),
        DPKG.release: ("13.8\n", "base"),
        "usr/share/doc/libc6/copyright": (
            f"{_FORMAT}\nLicense: LGPL-2.1+\n",
            "base",
        ),
        f"{_SITE}/demo_pkg-1.0.dist-info/METADATA": (
            "Metadata-Version: 2.4\nName: demo_pkg\nVersion: 1.0\nLicense-Expression: MIT\nSummary: A demo\n",
            _PACKAGES,
        ),
        f"{_SITE}/demo_pkg-1.0.dist-info/sboms/crates.cdx.json": (json.dumps(crates), _PACKAGES),
        f"{_SITE}/demo_pkg/_vendor/bom.cdx.json": (json.dumps(vendored), _PACKAGES),
        f"{_SITE}/demo_pkg-1.0.dist-info/sboms/more.spdx.json": (json.dumps(described), _PACKAGES),
        f"{_SITE}/demo_pkg/_vendor/inner-0.1.dist-info/METADATA": ("Name: inner\nVersion: 0.1\n", _PACKAGES),
        f"{_SITE}/other-2.dist-info/METADATA": ("Name: other\nVersion: 2\nLicense: our own\n", _PACKAGES),
        f"{_SITE}/late-5.dist-info/METADATA": ("Name: late\nVersion: 5\n", "run-0"),
        f"{_SITE}/page/package.json": (_PAGE, _PACKAGES),
    }  # fmt: skip
    found = Contents(DPKG, {path: Text(text.encode(), layer) for path, (text, layer) in files.items()})
    found.store_paths["0123456789abcdfghijklmnpqrsvwxyz-hello-2.12.1"] = "closure"
    found.libraries[f"{_SITE}/demo_pkg.libs/libz-0a1b2c3d.so.1.3"] = _PACKAGES
    tool, other = Module("example.org/Two/v2", "v2.0.0+incompatible"), Module("stdlib", "v1.24.2")
    found.programs[f"{_SITE}/demo_pkg/tool"] = (other, tool), _PACKAGES
    found.programs["usr/bin/late"] = (other,), "run-0"
    found.large["src/weights.bin"] = ("cd" * 32, "weights")
    return found


@pytest.fixture
def lock() -> Lock:
    return made_lock()


@pytest.fixture
def contents() -> Contents:
    return made_contents()


@pytest.fixture
def sources(lock: Lock, contents: Contents) -> Sources:
    reasons = {"deb:libc6": ["libc6 is part of the base system"], "wheel:other": ["demo-pkg needs other"]}
    managed = [("lora", f"sha256:{'ef' * 32}", 7)]
    return Sources("cog-demo", lock, "sha256:lock", contents, reasons, managed, f"sha256:{'12' * 32}")
