"""Nix packages of a project, into an archive and out of it: sources of flakes, and what was built.

A flake's sources go by the hashes of cog-nix.lock and of the flake's own lock. They come first, as Nix reads
them to tell which store paths the packages are; an archive says what it has of these. What a
Nix file of the project fetches by hash is a source as well.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, quote, urlencode

from cog_nix.archive import nars
from cog_nix.archive.model import Header
from cog_nix.archive.nars import Nar
from cog_nix.build.options import OVERLAY
from cog_nix.store.choice import number
from cog_nix.store.failures import UnexpectedAnswerError
from cog_nix.store.library import nix_library, package_folder
from cog_nix.store.objects import described
from cog_nix.store.paths import sri_hash, tree_path
from cog_nix.store.questions import evaluate
from cog_nix.system import jsonvalue, platforms
from cog_nix.system.jsonvalue import list_of, mapping_of, text_of
from cog_nix.system.keys import SecretKey
from cog_nix.system.paths import cache_dir
from cog_nix.system.regular import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from cog_nix.archive.model import Archive
    from cog_nix.build.services import Services
    from cog_nix.config.model import Project
    from cog_nix.lock.model import Lock, NixPackage
    from cog_nix.report import Reporter
    from cog_nix.store.nix import Nix

_SOURCE = "source"
"""Name of the store path of a flake's files, and of those of its inputs."""
_TOLD = ("lastModified", "rev", "revCount")
"""What else a flake knows of itself; a ``path:`` takes these words (Nix manual, "nix flake", "Types")."""
_FOLDERS = (2, 26)
"""The first Nix known to take ``dir`` in a ``path:``; 2.8 refuses it."""
_SRI = re.compile(r"sha256-[A-Za-z0-9+/]{43}=")
_FETCHES = re.compile(r"\b(?:fetchTarball|fetchGit|fetchTree|getFlake|fetchMercurial)\b")
_PIN = re.compile(r"\b(?:sha256-[A-Za-z0-9+/]{43}=|(?:sha256:)?[01][0-9a-df-np-sv-z]{51}\b)")
"""A hash in a Nix file: SRI, or Nix's base 32."""


@dataclass(frozen=True)
class Packages:
    """What an archive is to have of Nix packages."""

    nars: tuple[Nar, ...] = ()
    header: Header = field(default_factory=Header)
    lacking: tuple[str, ...] = ()
    """What it cannot have."""


@dataclass(frozen=True)
class Told:
    """What Nix knows of a flake besides its files."""

    query: str
    """Its revision and time, as the query of a URL."""
    inputs: frozenset[str]
    """Hashes (SRI) of what it takes in."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``nix flake metadata --json`` printed.

        Raises:
            UnexpectedAnswerError: it is something else.
        """
        try:
            told = mapping_of(jsonvalue.loads(text))
            locked = mapping_of(told["locked"])
            query = urlencode({key: locked[key] for key in _TOLD if key in locked})
            return cls(query, frozenset(_hashes(told["locks"])))
        except (ValueError, KeyError, TypeError) as error:
            raise UnexpectedAnswerError(error) from error


def of_store(project: Project, lock: Lock, nix: Nix, reporter: Reporter) -> Packages:
    """Return what of a project's Nix packages is to be archived; it is in the store afterwards.

    Args:
        project: whose.
        lock: names them.
        nix: evaluates and builds them, as for an image.
        reporter: hears of builds.

    Raises:
        ConfigError: ``COG_NIX_SECRET_KEY_FILE`` names no key.
        NixError: one cannot be evaluated or built.
    """
    if not _has_any(project, lock):
        return Packages()
    roots = _store_paths(project, nix)
    if nix.invalid(roots):
        nix.build(nix_library() / "build.nix", _spec(project), None, reporter, foreign=True)
    key = SecretKey.named(os.environ)
    objects = [one.signed(key) if key and not one.content else one for one in described(nix, roots)]
    found, flakes, lacking = [Nar.of_object(one) for one in objects], {}, []
    for file in (one for one in lock.packages if one.file):
        pinned = pins_of(text := _text(project, file))
        found += _sources(pinned)
        here = len(pinned) - len(nix.invalid([one.path for one in _sources(pinned)]))
        if len(_FETCHES.findall(text)) > here:
            lacking.append(f"what {file.reference} fetches itself")
    for one in filter(_is_flake, lock.packages):
        told = _asked(nix, project, one)
        own, inputs = _own(one), inputs_of(_folder(project, one, nix))
        if own:
            flakes[one.flake] = told.query
        if told.inputs - inputs:
            lacking.append(f"what the flake {one.reference} takes in, which its flake.lock does not have,")
        found += _sources([*own, *inputs])
    gone = set(nix.invalid([one.path for one in found]))  # inputs that nothing of it needs
    there = tuple(one for one in found if one.path not in gone)
    return Packages(there, Header(flakes=flakes, objects={one.name: one for one in objects}), tuple(lacking))


def to_store(
    project: Project, lock: Lock, archive: Archive, services: Services, nix: Nix
) -> tuple[dict[str, str], list[str]]:
    """Bring Nix packages into the store, as far as an archive has them.

    Args:
        project: whose.
        lock: names them.
        archive: has them.
        services: say whether whoever made it is trusted; hear what is not taken.
        nix: whose store.

    Returns:
        References of flakes whose sources are there, by the lock's names; and what the archive lacks.

    Raises:
        FetchError: the archive cannot be read.
        NixError: a package cannot be evaluated.
    """
    if not _has_any(project, lock):
        return {}, []
    flakes = list(filter(_is_flake, lock.packages))
    nars.restore([nar for one in flakes for nar in _sources(_own(one))], archive, services.cache, nix)
    absent = absent_flakes(lock, nix)
    here = [one for one in flakes if one not in absent]
    inputs = [sri for one in here for sri in inputs_of(_folder(project, one, nix))]
    pinned = [sri for one in lock.packages if one.file for sri in pins_of(_text(project, one))]
    nars.restore(_sources([*inputs, *pinned]), archive, services.cache, nix)
    known = archive.header.flakes
    sources = {one.flake: _reference(one, known[one.flake]) for one in here if one.flake in known}
    if absent:
        return sources, list(absent.values())
    roots = _store_paths(project, nix, sources)
    trusted = services.trusts_archive
    refused = nars.take(roots, archive, services.cache, nix, services.reporter, trusted=trusted)
    if refused:
        shown = ", ".join(sorted(name.partition("-")[2] for name in refused))
        services.reporter.warn(
            f"what the archive has of {shown} is left alone, and built from source: no key that this Nix "
            "trusts has signed it. If you trust who made the archive:  --trust-archive"
        )
    names = [path.rpartition("/")[2] for path in nix.invalid(roots)]
    return sources, [f"the Nix package {one}" for one in names if one not in archive.header.objects]


def absent_flakes(lock: Lock, nix: Nix) -> dict[NixPackage, str]:
    """Return the flakes whose sources a store does not hold, or Nix cannot read there, and what to say."""
    paths = {one: nar.path for one in lock.packages for nar in _sources(_own(one))}
    gone = set(nix.invalid(list(paths.values())))
    found = {one: f"the source of the flake {one.reference}" for one, path in paths.items() if path in gone}
    if (number(nix.bin_dir / "nix-build", cache_dir()) or _FOLDERS) < _FOLDERS:
        for one in paths:
            if "dir" in _words(one):
                found[one] = f"Nix 2.26 or newer, for a flake in a folder of its source: {one.reference}"
    return found


def _has_any(project: Project, lock: Lock) -> bool:
    return bool(lock.packages) or (project.root / OVERLAY).exists()


def _is_flake(package: NixPackage) -> bool:
    return bool(package.flake)


def _spec(project: Project, sources: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the arguments of ``nix/build.nix`` for packages alone."""
    return {
        "packages": True,
        "lock": str(project.lock_path),
        "project": str(project.root),
        "name": "packages",
        "core": str(package_folder()),
        "sources": dict(sources or {}),
        **platforms.nix_arguments(project.platform),
    }


def _store_paths(project: Project, nix: Nix, sources: Mapping[str, str] | None = None) -> list[str]:
    """Return the store paths of a project's packages, whether or not they are there."""
    answer = evaluate(nix, nix_library() / "build.nix", _spec(project, sources), foreign=True)
    try:
        return list(map(text_of, list_of(answer)))
    except TypeError as error:
        raise UnexpectedAnswerError(error) from error


def _own(package: NixPackage) -> list[str]:
    """Return the hash of a flake's files; of one in the project, none."""
    return list(filter(_SRI.fullmatch, [_words(package).get("narHash", "")]))


def _words(package: NixPackage) -> dict[str, str]:
    """Return the query of a flake's reference."""
    return dict(parse_qsl(package.flake.partition("?")[2].replace("+", "%2B")))


def _sources(hashes: Iterable[str]) -> list[Nar]:
    return [Nar.of_tree(sri, _SOURCE) for sri in hashes]


def _folder(project: Project, package: NixPackage, nix: Nix) -> Path:
    """Return the folder of a flake that is here."""
    if not (own := _own(package)):
        return project.root / package.flake
    return nix.real(tree_path(own[0], _SOURCE)) / _words(package).get("dir", "")


def inputs_of(folder: Path) -> set[str]:
    """Return the hashes (SRI) of what a flake takes in, as its own lock has them.

    There are none where Nix could not read it either (Nix manual, "nix flake", "Lock files").

    Args:
        folder: of the flake.
    """
    try:
        return _hashes(jsonvalue.loads(read_bytes(folder / "flake.lock")))
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _hashes(locks: object) -> set[str]:
    nodes = map(mapping_of, mapping_of(mapping_of(locks)["nodes"]).values())
    locked = (text_of(mapping_of(one.get("locked", {})).get("narHash", "")) for one in nodes)
    return set(filter(_SRI.fullmatch, locked))


def _asked(nix: Nix, project: Project, package: NixPackage) -> Told:
    """Ask Nix what it knows of a flake besides its files."""
    where = package.flake if _own(package) else f"path:{project.root / package.flake}"
    return Told.parse(nix.flake_metadata(where, project.root))


def _reference(package: NixPackage, query: str) -> str:
    """Return a flake's reference by its files in the store, which gives what the lock's gives."""
    told = {key: value for key, value in parse_qsl(query) if key in _TOLD}
    (own,) = _own(package)
    inner = {key: value for key, value in _words(package).items() if key == "dir"}
    return f"path:{tree_path(own, _SOURCE)}?{urlencode({**told, **inner, 'narHash': own}, quote_via=quote)}"


def _text(project: Project, package: NixPackage) -> str:
    """Return what is in a package's Nix file; nothing where Nix could not read it either."""
    try:
        return read_bytes(project.root / package.file).decode(errors="replace")
    except OSError:
        return ""


def pins_of(text: str) -> list[str]:
    """Return the hashes (SRI) in a Nix file, by which ``fetchTarball`` looks into the store first.

    Args:
        text: of the file.
    """
    found = dict.fromkeys(_PIN.findall(text))
    return [one if one.startswith("sha256-") else sri_hash(one) for one in found]
