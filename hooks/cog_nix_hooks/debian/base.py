"""The minimal Debian userland that every image has.

It starts from what Debian calls essential (Policy 3.8: other packages rely on it without saying so) and adds
what a model server cannot do without: trusted certificates, the init that is the image's entry point, time
zones, and the names of protocols and ports.

apt is left out, unlike in Debian's slim images: with what only it needs it is 10.7 MB on trixie (14.4 MiB by
Installed-Size), a tenth of a whole small image. ``dpkg -l`` lists every package without it, and a project
that wants it names ``apt`` under ``system_packages``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .packages import Catalogue

BASE_GROUP = "base"
"""The group that stands for the base system when it names no packages."""

BASE_PACKAGES: tuple[str, ...] = ("ca-certificates", "netbase", "tini", "tzdata")
"""What the base system has beyond the essential packages."""

BUILD_GROUP = "build"
"""The group that stands for what builds may count on; names in it are added."""

BUILD_PACKAGES: tuple[str, ...] = (
    "apt",
    "build-essential",
    "bzip2",
    "ca-certificates",
    "cmake",
    "curl",
    "file",
    "git",
    "libffi-dev",
    "libssl-dev",
    "ninja-build",
    "pkg-config",
    "unzip",
    "wget",
    "xz-utils",
    "zip",
    "zlib1g-dev",
    "zstd",
)
"""What Cog's own base images have for building, and the headers that Python's extensions ask for most."""

_MERGED = "usr-is-merged"


def base_packages(catalogue: Catalogue) -> tuple[str, ...]:
    """Return the names that the base system starts from, sorted; their dependencies come with them."""
    names = {*catalogue.essential(), *BASE_PACKAGES}
    if _asks_for_merged(catalogue, names):
        # An image is laid out with /bin in /usr from the start. Without this name bookworm's first
        # alternative, usrmerge, would come to move files at run time, and all of Perl (45 MB) with it.
        names.add(_MERGED)
    return tuple(sorted(names))


def _asks_for_merged(catalogue: Catalogue, names: set[str]) -> bool:
    packages = (package for name in names for package in catalogue.named(name)[:1])
    relations = (relation for package in packages for clause in package.depends for relation in clause)
    return bool(catalogue.named(_MERGED)) and any(relation.name == _MERGED for relation in relations)
