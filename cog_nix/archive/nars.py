"""Store paths in an archive: each as its Nix archive, by the hash of that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cog_nix.fetch.store import Store
from cog_nix.lock.model import Artifact
from cog_nix.store import objects
from cog_nix.store.paths import hexadecimal, tree_path
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.archive.model import Archive
    from cog_nix.report import Reporter
    from cog_nix.store.nix import Nix
    from cog_nix.store.objects import StoreObject


@dataclass(frozen=True)
class Nar:
    """A store path, and its Nix archive."""

    path: str
    file: Artifact
    """Its size is 0 where nobody has said it yet."""

    @classmethod
    def of_tree(cls, sri: str, name: str, filename: str = "") -> Nar:
        """Return that of a folder which goes by its content.

        Args:
            sri: hash of its Nix archive.
            name: of the store path.
            filename: what people are told; "": the name.
        """
        return cls(tree_path(sri, name), Artifact(f"{filename or name}.nar", "", hexadecimal(sri), 0))

    @classmethod
    def of_object(cls, one: StoreObject) -> Nar:
        """Return that of a store path of which all is known."""
        name = one.name.partition("-")[2]
        return cls(one.path, Artifact(f"{name}.nar", "", one.sha256, one.size))


def dump(
    nars: Iterable[Nar], archive: Archive, damaged: Collection[str], nix: Nix, folder: Path
) -> list[tuple[Artifact, Path | None]]:
    """Write Nix archives that an archive lacks to files; return them, and the others without."""
    found: list[tuple[Artifact, Path | None]] = []
    for one in {nar.file.sha256: nar for nar in nars}.values():
        if one.file.sha256 not in damaged and archive.holds(one.file.sha256):
            found.append((one.file, None))
            continue
        path = folder / one.file.sha256
        nix.dump(one.path, path)
        found.append((replace(one.file, size=path.stat().st_size), path))
    return found


def restore(nars: Sequence[Nar], archive: Archive, cache: Path, nix: Nix) -> set[str]:
    """Put folders that go by their content into the store, as far as they are held.

    Returns:
        Paths of those that came; what was there is not asked for.
    """
    by_path = {one.path: one for one in nars}
    missing = [by_path[path] for path in nix.invalid(list(by_path))]
    found: set[str] = set()
    if not missing:
        return found
    cache.mkdir(parents=True, exist_ok=True)
    with scratch.folder("results", cache) as folder:
        store = Store(folder / "archives")
        came = archive.supply([one.file for one in missing], store)
        for number, one in enumerate(missing):
            if one.file.sha256 in came:
                tree = folder / str(number) / one.path.rpartition("/")[2].partition("-")[2]
                tree.parent.mkdir()
                nix.restore(store.path(one.file.sha256), tree)
                found.add(nix.add_tree(tree))
    return found


def take(
    roots: Sequence[str], archive: Archive, cache: Path, nix: Nix, reporter: Reporter, *, trusted: bool
) -> set[str]:
    """Put store paths into the store that an archive has with all that they refer to, and that are trusted.

    Trusted is what goes by its content, and what one has signed whose key this Nix trusts.

    Args:
        roots: which.
        archive: says what it knows of them.
        cache: folder for temporary files.
        nix: whose store.
        reporter: shows what comes, and hears of damaged files.
        trusted: whether all else is trusted as well.

    Returns:
        Names of those that nobody has signed who is trusted: they and what refers to them did not come.

    Raises:
        UnusableArchiveError: the archive cannot be read.
        RegistryError: its registry refuses, or cannot be reached.
        NixError: what it says of them cannot be read.
    """
    known = closure(roots, archive.header.objects)
    absent = {path.rpartition("/")[2] for path in nix.invalid([one.path for one in known.values()])}
    refused: set[str] = set()
    if not absent:
        return refused
    cache.mkdir(parents=True, exist_ok=True)
    with scratch.folder("packages", cache) as folder:
        url = objects.offer(known.values(), folder, "nars")
        paths = [known[name].path for name in absent]
        refused = set() if trusted else objects.unsigned(nix, url, paths) & absent
        wanted = {Nar.of_object(known[name]).file for name in whole(known, refused) & absent}
        came = archive.supply(list(wanted), Store(folder / "nars"))
        lost = {name for name in absent if known[name].sha256 not in came}
        if found := [known[name].path for name in whole(known, lost) & absent]:
            objects.take(nix, url, found, reporter, trusted=trusted)
    return refused


def closure(roots: Iterable[str], known: Mapping[str, StoreObject]) -> dict[str, StoreObject]:
    """Return what is known of store paths and of all that they refer to, by name."""
    found: dict[str, StoreObject] = {}
    names = [path.rpartition("/")[2] for path in roots]
    while names:
        name = names.pop()
        if name in known and name not in found:
            found[name] = known[name]
            names += known[name].references
    return found


def whole(known: Mapping[str, StoreObject], refused: Collection[str]) -> set[str]:
    """Return the names of what refers to nothing that is refused or unknown, nor is it itself."""
    good = known.keys() - set(refused)
    while bad := {name for name in good if not good.issuperset(known[name].references)}:
        good -= bad
    return good
