"""Which packages cog-nix's own programs are made of: what a release pins, or what the archive has.

A wheel carries :data:`PINS_FILE`, which ``make wheel`` writes: names, versions, hashes and places below a
mirror. A checkout has none, and mirrors drop what has been superseded; then the suite's signed index says
what there is. That is remembered in the cache for as long as the release is the same.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from cog_nix.lock.model import Artifact
from cog_nix.system import jsonvalue
from cog_nix.system.files import write_atomically
from cog_nix.system.jsonvalue import list_of, mapping_of, size_of, text_of
from cog_nix.system.platforms import BUILDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.plugins.spec import Context
    from cog_nix.system.platforms import Platform

    from .sources import Archive

SUITE = "trixie"
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "nix": (
        *("bash-static", "libacl1", "libarchive13t64", "libboost-context1.83.0", "libbrotli1", "libbsd0"),
        *("libbz2-1.0", "libc6", "libcom-err2", "libcpuid17", "libcurl3t64-gnutls", "libffi8", "libgc1"),
        *("libgcc-s1", "libgit2-1.9", "libgmp10", "libgnutls30t64", "libgssapi-krb5-2", "libhogweed6t64"),
        *("libhttp-parser2.9", "libidn2-0", "libk5crypto3", "libkeyutils1", "libkrb5-3", "libkrb5support0"),
        *("libldap2", "liblowdown2", "liblz4-1", "liblzma5", "libmbedcrypto16", "libmbedtls21"),
        *("libmbedx509-7", "libmd0", "libnettle8t64", "libnghttp2-14", "libnghttp3-9", "libngtcp2-16"),
        *("libngtcp2-crypto-gnutls8", "libp11-kit0", "libpcre2-8-0", "libpsl5t64", "libreadline8t64"),
        *("librtmp1", "libsasl2-2", "libseccomp2", "libsodium23", "libsqlite3-0", "libssh2-1t64"),
        *("libssl3t64", "libstdc++6", "libtasn1-6", "libtinfo6", "libunistring5", "libxml2", "libxxhash0"),
        *("libzstd1", "nix-bin", "zlib1g"),
    ),
    "container": (
        *("bubblewrap", "libacl1", "libblkid1", "libc6", "libcap-ng0", "libcap2", "libmount1"),
        *("libpcre2-8-0", "libselinux1", "mount", "tar", "util-linux"),
    ),
}
"""The packages whose files the programs load, their own included. What else these depend on (Perl, passwd)
they do without; a library that is missing is an error when they are unpacked."""

_ONLY_FOR_AMD64 = frozenset({"libcpuid17"})
"""Of these, what Debian has for no other architecture."""


def file_name(platform: Platform) -> str:
    """Return what the file with a platform's packages is called."""
    return "programs.json" if platform.is_usual else f"programs-{platform.debian}.json"


PINS_FILE = Path(__file__).with_name(file_name(BUILDER))
"""Is in wheels alone."""


@dataclass(frozen=True)
class Pin:
    """One package."""

    package: str
    version: str
    archive: Literal["main", "security"]
    path: str
    """Below the mirror, as in its index: ``pool/main/n/nix/nix-bin_2.26.3+dfsg-1_amd64.deb``."""
    sha256: str
    size: int

    def artifact(self, archive: Archive) -> Artifact:
        """Return what to fetch."""
        base = archive.security if self.archive == "security" else archive.main
        return Artifact(self.path.rpartition("/")[2], f"{base}/{self.path}", self.sha256, self.size)


@dataclass(frozen=True)
class Pins:
    """All packages of all programs."""

    date: str
    """Of the suite's index that they were found in (RFC 3339)."""
    programs: Mapping[str, tuple[Pin, ...]]
    released: bool = True
    """Whether they came with this release of cog-nix; otherwise the archive had them when it was asked."""

    @classmethod
    def parse(cls, data: Mapping[str, Any], *, released: bool) -> Self:
        """Read what :meth:`plain` returned.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        named = mapping_of(data["programs"])
        programs = {name: tuple(map(_pin, list_of(pins))) for name, pins in named.items()}
        return cls(text_of(data["date"]), programs, released)

    def plain(self) -> dict[str, Any]:
        """Return them for JSON."""
        programs = {name: [asdict(pin) for pin in pins] for name, pins in sorted(self.programs.items())}
        return {"date": self.date, "programs": programs}

    def version(self, package: str) -> str:
        """Return a package's version."""
        return next(pin.version for pins in self.programs.values() for pin in pins if pin.package == package)

    def digest(self, name: str) -> str:
        """Return a name for what a program is made of."""
        return hashlib.sha256(
            "\n".join(sorted(pin.sha256 for pin in self.programs[name])).encode()
        ).hexdigest()


def _pin(data: Any) -> Pin:
    texts = {name: text_of(data[name]) for name in ("package", "version", "path", "sha256")}
    archive: Literal["main", "security"] = "security" if data["archive"] == "security" else "main"
    return Pin(**texts, archive=archive, size=size_of(data["size"]))


def current(cache: Path) -> Pins | None:
    """Return the pins that count: what the archive had when it was asked, or else the release's.

    Args:
        cache: of all projects.

    Returns:
        None where neither is there.
    """
    released = _read(PINS_FILE)
    remembered = _read(_memory(cache))
    if remembered and remembered.get("instead_of") == _identity(released):
        return Pins.parse(remembered, released=False)
    return Pins.parse(released, released=True) if released else None


def renew(context: Context) -> Pins:
    """Ask the archive what it has now, and remember that.

    Raises:
        LockError: the archive cannot be read.
        FetchError: as above.
    """
    found = resolve(context)
    take(found, context.cache_dir)
    return found


def take(pins: Pins, cache: Path) -> None:
    """Go by these packages from now on, as long as the release is the same."""
    data = {**pins.plain(), "instead_of": _identity(_read(PINS_FILE))}
    write_atomically(_memory(cache), json.dumps(data, indent=1).encode())


def resolve(context: Context, platform: Platform = BUILDER) -> Pins:
    """Find the packages in the suite's signed indexes.

    Args:
        context: of the project.
        platform: what the programs are to run on.

    Raises:
        LockError: the archive cannot be read.
        FetchError: as above.
    """
    import os  # noqa: PLC0415 - as below

    from cog_nix.plugins.spec import SystemRequest  # noqa: PLC0415 - only a machine without pins gets here

    from .resolve import resolve as find  # noqa: PLC0415 - as above
    from .settings import DebianSettings  # noqa: PLC0415 - as above
    from .sources import find_archive  # noqa: PLC0415 - as above

    archive = find_archive(context.settings.table(DebianSettings), os.environ)
    groups = tuple(
        (name, tuple(one for one in names if platform.is_usual or one not in _ONLY_FOR_AMD64))
        for name, names in PACKAGES.items()
    )
    asked = SystemRequest(suite=SUITE, groups=groups, alone=True)
    found = find(asked, replace(context, platform=platform))
    programs = {
        name: tuple(
            Pin(
                deb.package,
                deb.version,
                *_place(deb.artifact.url, archive),
                deb.artifact.sha256,
                deb.artifact.size,
            )
            for deb in debs
        )
        for name, debs in found.groups.items()
    }
    return Pins(found.indexes[0].date, programs, released=False)


def _place(url: str, archive: Archive) -> tuple[Literal["main", "security"], str]:
    """Split a package's URL into the archive and the path below it."""
    if url.startswith(f"{archive.main}/"):
        return "main", url.removeprefix(f"{archive.main}/")
    return "security", url.removeprefix(f"{archive.security}/")


def _memory(cache: Path) -> Path:
    return cache / "programs" / file_name(BUILDER).replace("programs", "pins")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = mapping_of(jsonvalue.loads(path.read_bytes()))
        known = Pins.parse(data, released=False).programs
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return data if set(PACKAGES) <= set(known) else None


def _identity(released: Mapping[str, Any] | None) -> str:
    text = json.dumps(released, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
