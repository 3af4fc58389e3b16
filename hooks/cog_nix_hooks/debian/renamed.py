"""Names that other releases and Ubuntu have, and what stands for them in Debian. Facts, each with its source.

Only a package that does the same for whoever asks is a successor: the same program, headers of the same
library, or the same shared library (SONAME). A library with another SONAME is none; what was linked to the
old one does not find it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RENAMED: Mapping[str, str] = {
    # Ubuntu's transitional packages: what they depend on there.
    "chromium-browser": "chromium",
    "chromium-chromedriver": "chromium-driver",
    "libegl1-mesa": "libegl1",
    "libgl1-mesa-glx": "libgl1",
    "libgles2-mesa": "libgles2",
    "libjpeg-turbo8-dev": "libjpeg62-turbo-dev",
    "libjpeg8-dev": "libjpeg62-turbo-dev",
    "libmysqlclient-dev": "default-libmysqlclient-dev",
    "libturbojpeg": "libturbojpeg0",
    "mysql-client": "default-mysql-client",
    "mysql-server": "default-mysql-server",
    "netcat": "netcat-openbsd",
    # Renamed in Debian: the old name was a transitional package, or is in the new one's Replaces.
    "freeglut3": "libglut3.12",
    "imagemagick-6.q16": "imagemagick",
    "libav-tools": "ffmpeg",
    "libdc1394-22-dev": "libdc1394-dev",
    "libpng12-dev": "libpng-dev",
    "mime-support": "media-types",
    "ttf-dejavu": "fonts-dejavu",
    "ttf-freefont": "fonts-freefont-ttf",
    "ttf-liberation": "fonts-liberation",
    # Qt's packagers: qt5-default chose this one (release notes of Debian 11).
    "qt5-default": "qtbase5-dev",
    # ATLAS left Debian; OpenBLAS has the same interfaces, cblas.h and LAPACK included.
    "libatlas-base-dev": "libopenblas-dev",
    # Python 2 left Debian 12.
    "python": "python3",
    "python-dev": "python3-dev",
    "python-pip": "python3-pip",
    "python-setuptools": "python3-setuptools",
    # Names that people know from other distributions and from PyPI.
    "ninja": "ninja-build",
    "wayland-dev": "libwayland-dev",
}
"""Names that are gone from some suite, with the package that took their place there."""

NOT_NEEDED: Mapping[str, str] = {
    "python3-distutils": "distutils is part of Python up to 3.11, and of setuptools from 3.12 on",
}
"""Names that are gone from some suite with nothing to install in their place, and why."""

_ADVICE = (
    (
        re.compile(r"^(lib)?(cuda|cudnn|nvidia|nccl|cublas|tensorrt|nvinfer)"),
        "CUDA comes with the Python packages that use it (torch, tensorflow, nvidia-*): leave this one out.",
    ),
    (
        re.compile(r"^python3?\.?\d+(-(dev|venv|distutils|minimal))?$"),
        "The Python of the image is set by build.python_version.",
    ),
    (
        re.compile(r"^libgconf-?2-(4|dev)$"),
        "GConf left Debian in 2023, only old Electron programs link to it. Leave it out, or use bookworm.",
    ),
    (
        re.compile(r"^(software-properties-common|add-apt-key)$"),
        "It adds archives of packages, and only Debian's can be locked: leave it out.",
    ),
    (
        re.compile(
            r"^(unrar|rar|ttf-mscorefonts-installer|libfdk-aac\d?|libfdk-aac-dev|intel-mkl|libmkl.*)$"
        ),
        "It is not free software; only Debian's component main can be locked.",
    ),
    (
        re.compile(r"^(bazel|google-cloud-sdk|awscliv2|docker-ce|pget)$"),
        "It is not Debian's: get it under build.run.",
    ),
)
_NUMBER = re.compile(r"\d+(\.\d+)*")


def advice(name: str, names: Iterable[str]) -> str:
    """Return what to know about a name that is not there and has no successor; empty: nothing special.

    Args:
        name: what was asked for.
        names: what there is.
    """
    for pattern, text in _ADVICE:
        if pattern.match(name):
            return text
    later = other_numbers(name, names)
    if not later:
        return ""
    if name.startswith("lib") and not name.endswith("-dev"):
        text = "with another binary interface: what was built for the one does not find the other"
        return f"There is {' or '.join(later)}, {text}."
    return f"There is {' or '.join(later)}."


def other_numbers(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that differ in their number alone: ``libssl3t64`` for ``libssl1.1``."""
    stem = _NUMBER.sub("#", name.removesuffix("t64"))
    if "#" not in stem:
        return []
    found = {each for each in names if _NUMBER.sub("#", each.removesuffix("t64")) == stem}
    real = {each for each in found if f"{each}t64" not in found}
    return sorted(real, key=_numbers)[-2:]


def _numbers(name: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", name.removesuffix("t64"))]
