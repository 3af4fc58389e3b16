"""How images say which of Debian's packages they have: dpkg's database, and the packages' copyright files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix.plugins.spec import InstalledPackage

from .copyright import licences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_LIST = re.compile(r"var/lib/dpkg/info/(?P<name>[^/:]+)(?::[^/]+)?\.list")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_PYTHON = re.compile(r"(lib)?python3(\.\d+)?(-minimal|-stdlib)?")
_POINT = re.compile(r"\d+\.\d+")
"""A release of Debian's; what is not released yet calls itself ``forky/sid``."""


class Dpkg:
    """dpkg's database (dpkg(1), FILES)."""

    kind = "debian"
    title = "Debian packages"
    program = "dpkg"
    index = "var/lib/dpkg/status"
    release = "etc/debian_version"
    purl = ("deb", "debian")

    def installed(self, index: bytes) -> Sequence[InstalledPackage]:
        """Return the packages that are installed."""
        system = {fields["Package"]: fields for fields in _paragraphs(index)}
        provided = {
            name: package
            for package, fields in system.items()
            for name in _alternatives(fields.get("Provides", ""))
        }
        return [_package(fields, system, provided) for fields in system.values()]

    def owner(self, path: str) -> str:
        """Return the package whose files ``dpkg -L`` has from here."""
        found = _LIST.fullmatch(path)
        return found["name"] if found else ""

    def copyright(self, package: str) -> str:
        """Return where the copyright file is (Debian Policy 12.5)."""
        return f"usr/share/doc/{package}/copyright"

    def licences(self, text: str) -> Sequence[str]:
        """Return what a copyright file declares."""
        return licences(text)

    def point_release(self, text: str) -> str:
        """Return a release such as 13.1, which os-release leaves out."""
        return text.strip() if _POINT.fullmatch(text.strip()) else ""


DPKG = Dpkg()


def _paragraphs(status: bytes) -> Iterator[dict[str, str]]:
    """Yield the fields of each package that is installed (deb822), name and version among them."""
    for paragraph in status.decode("utf-8", "replace").split("\n\n"):
        lines = (line for line in paragraph.splitlines() if ": " in line and line[0] not in " \t")
        fields = dict(line.split(": ", 1) for line in lines)
        if fields.get("Status", "").endswith(" installed") and {"Package", "Version"} <= fields.keys():
            yield fields


def _package(
    fields: Mapping[str, str], system: Mapping[str, object], provided: Mapping[str, str]
) -> InstalledPackage:
    name = fields["Package"]
    source, _, version = fields.get("Source", "").partition(" ")
    return InstalledPackage(
        name,
        fields["Version"],
        tuple(_needed(fields, system, provided)),
        is_base=fields.get("Essential") == "yes" or fields.get("Priority") in {"required", "important"},
        is_python=bool(_PYTHON.fullmatch(name)),
        architecture=fields.get("Architecture", ""),
        source=source,
        source_version=version.strip("()"),
        supplier=fields.get("Maintainer", ""),
        homepage=fields.get("Homepage", ""),
        description=fields.get("Description", ""),
    )


def _alternatives(relation: str) -> list[str]:
    """Return the names of a relation field (Debian Policy 7.1)."""
    return [found[0] for one in re.split(r"[,|]", relation) if (found := _NAME.match(one.strip()))]


def _needed(
    fields: Mapping[str, str], installed: Mapping[str, object], provided: Mapping[str, str]
) -> Iterable[str]:
    """Return the installed packages that a package depends on."""
    found = []
    for relation in f"{fields.get('Pre-Depends', '')},{fields.get('Depends', '')}".split(","):
        names = _alternatives(relation)
        choice = next((name for name in names if name in installed), None)
        choice = choice or next((provided[name] for name in names if name in provided), None)
        if choice:
            found.append(choice)
    return dict.fromkeys(found)
