"""All that is told of an image."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cog_nix.errors import ImageError
from cog_nix.explain import contents
from cog_nix.explain.asked import UNKNOWN, Needs, Way, by_image, by_lock
from cog_nix.explain.contents import Sizes
from cog_nix.explain.owners import Databases, Owner, owners

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cog_nix.compare.subject import Subject
    from cog_nix.explain.contents import Contents, File
    from cog_nix.lock.explain import Asked
    from cog_nix.lock.model import Lock
    from cog_nix.plugins.manager import Plugins
    from cog_nix.report import Reporter

_BUILT = "cog-nix: "
_LEAST = 64 << 10
"""Bytes on disk from which on a file is told of by itself."""
_MOST = 25
"""Files of a package that are told of by themselves."""


class LayersUnpackedError(ImageError):
    """An image's layers are not kept in a way that can be read.

    Args:
        title: of the image.
    """

    def __init__(self, title: str) -> None:
        super().__init__(hint="Name ./result, an archive of the image, or REGISTRY/IMAGE:TAG.")
        self.title = title

    def __str__(self) -> str:
        return f"{self.title} has its layers unpacked, so they cannot be read one by one."


@dataclass(frozen=True)
class LayerReport:
    """A layer."""

    name: str
    """What it holds."""
    diff_id: str
    sizes: Sizes
    estimated: bool
    """Whether what is pulled is an estimate."""
    shared: tuple[str, ...]
    """Other images that have it."""


@dataclass(frozen=True)
class Part:
    """What a package has in a layer."""

    layer: int
    """Its number, from 0 at the bottom."""
    sizes: Sizes


@dataclass(frozen=True)
class PackageReport:
    """A package, or what else an image consists of."""

    owner: Owner
    sizes: Sizes
    parts: tuple[Part, ...]
    asker: str
    """Who asked for it."""
    chain: tuple[str, ...]
    """Keys from the package that was asked for to this one."""
    files: tuple[tuple[str, int], ...]
    """Its largest files: path, and bytes on disk."""
    count: int
    """How many files it has."""


@dataclass(frozen=True)
class AskerReport:
    """Who asked for something."""

    title: str
    sizes: Sizes
    """Of what came for its sake."""
    packages: int
    alone: Sizes
    """Of what nobody else needs."""


@dataclass(frozen=True)
class Report:
    """What an image consists of."""

    title: str
    id: str
    layers: tuple[LayerReport, ...]
    """From bottom to top."""
    packages: tuple[PackageReport, ...]
    """The largest first."""
    askers: tuple[AskerReport, ...]
    """The largest first."""
    sizes: Sizes
    hidden: Sizes
    """Of files that layers above replace or remove."""
    others: int
    """How many other images it was compared with."""

    @property
    def estimated(self) -> bool:
        """Whether some of what is pulled is an estimate."""
        return any(one.estimated for one in self.layers)

    @property
    def own(self) -> Sizes:
        """Return the size of layers that no other image has."""
        return sum((one.sizes for one in self.layers if not one.shared), Sizes())

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            **asdict(self),
            "packages": [{**asdict(one.owner), "key": one.owner.key, **asdict(one)} for one in self.packages],
            "own": asdict(self.own),
            "estimated": self.estimated,
        }


def report(
    image: Subject,
    reporter: Reporter,
    plugins: Plugins,
    *,
    lock: Lock | None = None,
    asked: Asked | None = None,
    others: Mapping[str, Sequence[str]] | None = None,
) -> Report:
    """Return what an image consists of; all of it is read.

    Args:
        image: which.
        reporter: shows how much was read.
        plugins: know system packages.
        lock: of the project, where the image may be of it; one that fits not is not used.
        asked: what that project names.
        others: diff ids of other images' layers, by image.

    Raises:
        ImageError: it cannot be read.
        PluginError: nobody knows system packages.
    """
    if image.open is None:
        raise LayersUnpackedError(image.title)
    total = None if image.compressed else sum(one.size for one in image.layers) or None
    database = plugins.describe_database()
    layers = []
    with reporter.bytes_bar(f"Reading {image.title}", total) as bar:
        for number, layer in enumerate(image.layers):
            with image.open(number) as stream:
                layers.append(contents.read(stream, layer.size, bar.advance, database))
    names = layer_names(image)
    databases = Databases(layers, database)
    ours = lock and asked and fits(lock, databases)
    needs = (
        by_lock(lock, asked, plugins.describe_system(), database)
        if ours and lock and asked
        else by_image(databases, image.labels)
    )
    found = owners(databases, names, _python(image))
    return Report(
        image.title,
        image.id,
        tuple(_layers(image, layers, names, others or {})),
        packages := tuple(_packages(found, needs)),
        tuple(_askers(packages, needs)),
        sum((one.sizes for one in layers), Sizes()),
        sum((one.sizes for _, one in contents.hidden(layers)), Sizes()),
        len(others or {}),
    )


def fits(lock: Lock, databases: Databases) -> bool:
    """Whether an image has the packages of a lock, in its versions."""
    members = {one for _, members in lock.layers for one in members}
    system = {one.package: one.version for one in lock.installed if f"deb:{one.package}" in members}
    python = {one.name: one.version for one in lock.wheels if f"wheel:{one.name}" in members}
    return system == {one.name: one.version for one in databases.system.values()} and (
        python.items() <= {name: one.version for name, one in databases.distributions.items()}.items()
    )


def layer_names(image: Subject) -> list[str]:
    """Return what each layer holds: as the image itself says, or its history (config.md, "history")."""
    said = [one for one in image.config.get("history") or () if not one.get("empty_layer")]
    names = [str(one.get("created_by") or "") for one in said]
    if len(names) != len(image.layers):
        names = [""] * len(image.layers)
    return [
        text.removeprefix(_BUILT) if text.startswith(_BUILT) else _instruction(text)
        for text in (layer.name or name for layer, name in zip(image.layers, names, strict=True))
    ]


def _instruction(text: str) -> str:
    """Return an instruction of a Dockerfile without what Docker's builders put around it."""
    return re.sub(r"^/bin/sh -c (#\(nop\)\s*)?|\s*# buildkit$", "", " ".join(text.split()))


def _python(image: Subject) -> str:
    env = (image.config.get("config") or {}).get("Env") or ()
    found = next((one for one in env if str(one).startswith("PYTHON_VERSION=")), "")
    return str(found).partition("=")[2]


def _layers(
    image: Subject, layers: Sequence[Contents], names: Sequence[str], others: Mapping[str, Sequence[str]]
) -> Iterator[LayerReport]:
    for layer, one, name in zip(image.layers, layers, names, strict=True):
        shared = tuple(other for other, theirs in others.items() if layer.diff_id in theirs)
        yield LayerReport(name, layer.diff_id, one.sizes, one.estimated, shared)


def _packages(found: Sequence[Sequence[tuple[File, Owner]]], needs: Needs) -> list[PackageReport]:
    """Return all that an image consists of, the largest first."""
    parts: dict[Owner, dict[int, Sizes]] = {}
    files: dict[Owner, list[tuple[str, int]]] = {}
    counts: dict[Owner, int] = {}
    for number, pairs in enumerate(found):
        for one, owner in pairs:
            mine = parts.setdefault(owner, {})
            mine[number] = mine.get(number, Sizes()) + one.sizes
            counts[owner] = counts.get(owner, 0) + (not one.folder)
            if one.sizes.disk >= _LEAST:
                files.setdefault(owner, []).append((one.path, one.sizes.disk))
    ways = needs.ways()
    reports = [
        PackageReport(
            owner,
            sum(mine.values(), Sizes()),
            tuple(Part(number, sizes) for number, sizes in mine.items()),
            (way := _way(owner, ways, needs)).asker,
            way.chain,
            tuple(sorted(files.get(owner, ()), key=lambda file: (-file[1], file[0]))[:_MOST]),
            counts[owner],
        )
        for owner, mine in parts.items()
    ]
    return sorted(reports, key=lambda one: (-one.sizes.disk, one.owner.key))


def _way(owner: Owner, ways: Mapping[str, Way], needs: Needs) -> Way:
    who = needs.more.get(owner.key) or needs.more.get(owner.kind)
    return ways.get(owner.key) or Way(who or UNKNOWN, (owner.key,))


def _askers(packages: Sequence[PackageReport], needs: Needs) -> list[AskerReport]:
    sizes = {one.owner.key: one.sizes for one in packages}
    titles: dict[str, list[PackageReport]] = {}
    for one in packages:
        titles.setdefault(one.asker, []).append(one)
    found = []
    for title, mine in titles.items():
        alone = needs.alone(title) & sizes.keys()
        alone |= {one.owner.key for one in mine if one.owner.key not in needs.depends}
        total = sum((one.sizes for one in mine), Sizes())
        found.append(AskerReport(title, total, len(mine), sum((sizes[key] for key in alone), Sizes())))
    return sorted(found, key=lambda one: (-one.sizes.disk, one.title))
