"""Locks made small."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.lock.model import Artifact, Deb, Index, Interpreter, Lock, Run, Seed, Source, Wheel
from cog_nix.lock.reasons import parse

if TYPE_CHECKING:
    from collections.abc import Callable


SRI = f"sha256-{'A' * 43}="


def make_deb(package: str, version: str = "1.0-1", *depends: str) -> Deb:
    """Return a Debian package."""
    return Deb(package, version, "amd64", _artifact(f"{package}_{version}_amd64.deb", 1000), depends)


def make_wheel(name: str, version: str = "1.0", *depends: str, size: int = 1000) -> Wheel:
    """Return a wheel."""
    return Wheel(
        name, version, _artifact(f"{name.replace('-', '_')}-{version}-py3-none-any.whl", size), depends
    )


def _artifact(filename: str, size: int) -> Artifact:
    sha256 = hashlib.sha256(filename.encode()).hexdigest()
    return Artifact(filename, f"https://mirror.example.org/pool/{filename}", sha256, size)


def make_lock(**changes: Any) -> Lock:
    """Return a lock of a few packages."""
    values: dict[str, Any] = {
        "inputs": "sha256:0",
        "suite": "trixie",
        "indexes": (
            Index("https://mirror.example.org/debian", "trixie", "main", "amd64", "2026-01-01", "ab" * 32),
        ),
        "seed": Seed("3.13", (make_deb("libc6", "2.41-12"),), (make_wheel("installer"),), SRI),
        "interpreter": Interpreter("debian", "3.13.5", "/usr/bin/python3.13"),
        "base": (make_deb("bash"), make_deb("libc6", "2.41-12")),
        "essential": (make_deb("login"),),
        "python": (make_deb("python3.13"),),
        "system": (make_deb("ffmpeg", "7:7.1-1", "libavcodec61"), make_deb("libavcodec61", "7:7.1-1")),
        "wheels": (
            make_wheel("cog", "0.23.1"),
            replace(
                make_wheel("flash-attn", "2.0", "numpy"),
                source=Source(
                    "git",
                    (make_wheel("setuptools", "80.0"),),
                    isolated=False,
                    subdirectory="csrc",
                    revision="main",
                    sees=("numpy",),
                ),
                origin="git+https://git.example.org/flash-attn@0123456789abcdef0123456789abcdef01234567",
            ),
            make_wheel("numpy", "2.0"),
        ),
        "libraries": (make_deb("libgl1", "1.7-1"),),
        "build": (make_deb("gcc", "14.2-1"),),
        "runs": (Run("echo hello > /hello", f"sha256:{'1' * 64}", SRI),),
        "reasons": (parse("libgl1", "opencv-python links to libGL.so.1"),),
        "links": (("numpy", (("numpy/lib.so", "numpy/lib.so.1"),)),),
        "layers": (
            ("base", ("deb:bash", "deb:libc6")),
            ("python", ("deb:python3.13", "state:base", "venv")),
            ("essential", ("deb:login", "state:essential")),
            ("system-packages", ("deb:ffmpeg", "deb:libavcodec61", "deb:libgl1", "state:system")),
            ("sdk", ("wheel:cog",)),
            ("python-packages", ("wheel:flash-attn", "wheel:numpy", "links:numpy")),
            ("run-0", ("run:0",)),
            ("source", ("source",)),
        ),
        "environment": (("NAME", "value"),),
        "labels": (("com.example.label", "value"),),
    }
    return Lock(**{**values, **changes})


@pytest.fixture
def deb() -> Callable[..., Deb]:
    """Return :func:`make_deb`."""
    return make_deb


@pytest.fixture
def wheel() -> Callable[..., Wheel]:
    """Return :func:`make_wheel`."""
    return make_wheel


@pytest.fixture
def lock() -> Callable[..., Lock]:
    """Return :func:`make_lock`."""
    return make_lock
