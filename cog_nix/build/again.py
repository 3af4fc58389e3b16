"""Building again what is unchanged: what a build is kept under, what is kept of it, how it is found again.

:mod:`cog_nix.build.unchanged` decides whether everything is as it was.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from cog_nix import __version__
from cog_nix.build import unchanged
from cog_nix.build.nix_arguments import read_in_builds
from cog_nix.build.options import OVERLAY, BuildOptions, gc_root
from cog_nix.errors import ImageError
from cog_nix.image.description import ImageDescription
from cog_nix.project.ignore import IGNORE_FILE
from cog_nix.resolve import inputs
from cog_nix.store import ahead
from cog_nix.store.library import nix_library, package_folder
from cog_nix.system import certificate
from cog_nix.weights import lock as weights_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cog_nix.build.interface import Api
    from cog_nix.config.model import Config, Project
    from cog_nix.store.nix import Nix

_OF_THE_SDK = ("COG_SDK_WHEEL", "COGLET_WHEEL")
"""Variables that name files which no build of a kept kind reads."""


@dataclass(frozen=True)
class Found:
    """What an earlier build made, which nothing has changed since."""

    image: ImageDescription
    oci: Path | None
    tag: str
    openapi: str
    gpu: bool
    warnings: tuple[str, ...]
    """What cog.yaml was warned about."""
    pitfalls: tuple[str, ...]
    """What the source, or anything else, was warned about."""
    kept: str | None = None
    """Name of what is remembered of it."""


class Entry(TypedDict):
    """How a model's interface is read from its source (:func:`cog_nix.signature.describe_model`)."""

    predict: str | None
    train: str | None
    version: str
    """Of Cog's package in the image."""
    programs: list[str] | None
    """Those that the source started when it was locked; None: that is not looked at."""
    pitfalls: list[str]
    """What anything but the source was warned about."""


@dataclass(frozen=True)
class WentBy:
    """What a build went by, besides the files that it took."""

    read: frozenset[Path]
    """Other files that were read, or looked for in vain."""
    sources: frozenset[str]
    """The same of code of the model, relative to the project."""
    command: Sequence[str]
    """Of Nix, without the values."""
    spec: Mapping[str, Any]
    """The values."""
    entry: Entry | None = None
    """How the interface is read anew when the source alone has changed; None: as in any build."""


class Memory:
    """What a project's ``.cog`` knows of one way of building.

    Args:
        project: whose.
        options: what the user decided.
        labels: those that are known before the image is.
    """

    def __init__(self, project: Project, options: BuildOptions, labels: Mapping[str, str]) -> None:
        self._project, self._options, self._labels = project, options, dict(labels)
        self._state = str(project.state_dir)
        self.name = unchanged.key(_question(project, options, labels)) if _is_kept(options) else None
        """Name of the file; None: such a build is never taken for unchanged."""
        self._watch: unchanged.Watch | None = None

    def recall(self) -> Found | None:
        """Return what was built, when everything is as it was then."""
        answer = unchanged.recall(self._state, self.name) if self.name else None
        if answer is None:
            return None
        with suppress(ImageError, KeyError, TypeError):
            oci = answer["oci"]
            return Found(
                image=ImageDescription.read(Path(answer["image"])),
                oci=Path(oci) if oci else None,
                tag=answer["tag"],
                openapi=answer["openapi"],
                gpu=answer["gpu"],
                warnings=tuple(answer["warnings"]),
                pitfalls=tuple(answer["pitfalls"]),
                kept=self.name,
            )
        return None

    def begin(self) -> None:
        """Look at the clock before anything is read; where Nix had a head start, before that."""
        began = ahead.began()
        if began is None:
            began = unchanged.clock(self._state)
        if self.name and began is not None:
            self._watch = unchanged.Watch(str(self._project.root), began, self._state)

    def walked(self, entered: Mapping[str, Sequence[str]], files: Iterable[str]) -> None:
        """Take what the walk through the project saw (:meth:`cog_nix.project.ignore.Ignore.walk`)."""
        if self._watch:
            self._watch.walked({folder: list(names) for folder, names in entered.items()}, files)

    def keep(self, found: Found, went_by: WentBy, state_of_nix: Path) -> Found:
        """Keep what was built, where all that it went by can be watched; return it with its name.

        Args:
            found: what was built.
            went_by: what else it went by.
            state_of_nix: where Nix keeps the roots of what is not garbage (``/nix/var/nix``).
        """
        links = self._links(found.oci or found.image.path, state_of_nix)
        if not (self.name and self._watch) or links is None:
            return found
        kept = self._watch.seal(
            read=map(str, went_by.read),
            sources=went_by.sources,
            code=[str(package_folder()), str(nix_library())],
            links=links,
            present=[str(path) for path in (found.image.path, found.oci) if path],
        )
        if kept is None:
            return found
        answer: dict[str, Any] = {
            "image": str(found.image.path),
            "oci": str(found.oci) if found.oci else None,
            "tag": found.tag,
            "openapi": found.openapi,
            "gpu": found.gpu,
            "warnings": found.warnings,
            "pitfalls": found.pitfalls,
            # For who answers without reading the image (cog_nix.cli.fast_path):
            "size": found.image.size,
            "labels": self._labels,
            "annotations": dict(self._options.labels),
            "command": went_by.command,
            "spec": went_by.spec,
            "entry": went_by.entry,
        }
        unchanged.remember(self._state, self.name, kept, answer)
        return replace(found, kept=self.name)

    def _links(self, built: Path, state_of_nix: Path) -> dict[str, str] | None:
        """Return the links that keep what was built from being collected; None when some are missing."""
        if (link := gc_root(self._project, self._options)) is None:
            return {}
        root = str(link)
        registered = str(state_of_nix / "gcroots/auto" / unchanged.root_name(root))
        try:
            found = {link: os.readlink(link) for link in (root, registered)}  # noqa: PTH115 - text
        except OSError:
            return None
        return found if found[registered] == root and Path(found[root]).name == built.name else None


def _is_kept(options: BuildOptions) -> bool:
    """Tell whether all that such a build goes by can be watched."""
    policy = options.policy
    asks_for_more = (
        options.embed_sbom or options.runs.again or policy.upgrade.anything or policy.look_at_project
    )
    return not (asks_for_more or options.openapi or any(map(os.environ.get, _OF_THE_SDK)))


def _question(project: Project, options: BuildOptions, labels: Mapping[str, str]) -> dict[str, Any]:
    trusted = certificate.read(os.environ)
    return {
        "version": __version__,
        "root": str(project.root),
        "config": str(project.config_path),
        "folder": str(Path.cwd()),
        "tag": options.tag,
        "labels": sorted(labels.items()),
        "flags": [
            options.result_link,
            options.oci,
            options.packing,
            options.offline,
            options.policy.update,
            options.policy.cog_base,
            options.weights_inside,
        ],
        "environment": unchanged.environment(os.environ),
        "machine": unchanged.machine(),
        "certificate": hashlib.sha256(trusted.encode()).hexdigest(),
    }


def went_by(
    project: Project,
    options: BuildOptions,
    config: Config,
    api: Api,
    asked: tuple[Nix, Mapping[str, Any]],
) -> WentBy:
    """Return what a build went by besides the files that it took.

    Args:
        project: what was built.
        options: what the user decided.
        config: names files that were read.
        api: names others, also such as are not there.
        asked: Nix, and the values that it was given.
    """
    named = {*read_in_builds(project, config), IGNORE_FILE, weights_lock.NAME}
    named |= inputs.files(config.build.requirements)
    fixed = {project.config_path, project.settings_path, project.lock_path, project.root / OVERLAY}
    nix, spec = asked
    return WentBy(
        read=frozenset(fixed | {project.root / name for name in named if "\0" not in name}),
        sources=api.described.sources if api.described else frozenset(),
        command=nix.build_command(nix_library() / "build.nix", gc_root(project, options)),
        spec=spec,
    )


def entry(
    config: Config,
    api: Api,
    version: str,
    programs: Sequence[str] | None,
    *,
    unknown: Sequence[str] = (),
    pitfalls: Sequence[str] = (),
) -> Entry | None:
    """Return how a model's interface is read when its source alone has changed.

    Args:
        config: names the entry points.
        api: what was read from them.
        version: of Cog's package in the image.
        programs: those that the source may start; None: it was not looked into.
        unknown: what was said of others.
        pitfalls: what anything but the source was warned about.

    Returns:
        None where more than the source decides whether it can be built.
    """
    concurrency = config.concurrency_max or (api.described.leading.concurrency if api.described else None)
    if api.handed_in or unknown or (concurrency or 1) > 1:
        return None
    return {
        "predict": config.predict,
        "train": config.train,
        "version": version,
        "pitfalls": list(pitfalls),
        "programs": None if programs is None else list(programs),
    }
