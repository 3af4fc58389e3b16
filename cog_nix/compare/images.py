"""Two images side by side: manifest, configuration, each layer."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

from cog_nix.image import tars
from cog_nix.system import scratch
from cog_nix.system.processes import ProcessError, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cog_nix.compare.subject import Layer, Subject, Tar

    Open = Callable[[int], AbstractContextManager[Tar]]

Manifest = Literal["same", "differs", "not compared"]
_PROGRAM = "diffoscope"
_FOUND_DIFFERENCES = 1
"""Exit status of diffoscope(1)."""


@dataclass(frozen=True)
class Setting:
    """Something that two configurations do not say in the same way."""

    name: str
    """``config.Labels.org.opencontainers.image.revision``"""
    first: str
    """JSON; "" where it is not there."""
    second: str


@dataclass(frozen=True)
class LayerPair:
    """A layer of each image, at the same height."""

    number: int
    """From 0, at the bottom."""
    first: Layer | None
    second: Layer | None

    @property
    def same(self) -> bool:
        """Whether both have the same tar."""
        return bool(self.first and self.second and self.first.diff_id == self.second.diff_id)

    @property
    def name(self) -> str:
        """What the layer holds, where one of them says that."""
        names = (one.name for one in (self.first, self.second) if one and one.name)
        return next(names, str(self.number))


@dataclass(frozen=True)
class FirstLayer:
    """What differs in the lowest layer that does."""

    name: str
    differences: tuple[tars.Difference, ...]
    report: str = ""
    """What diffoscope says of the first file with other contents, where it is installed."""


@dataclass(frozen=True)
class Comparison:
    """Two images side by side."""

    first: Subject
    second: Subject
    manifest: Manifest
    settings: tuple[Setting, ...]
    """What differs in their configurations, apart from the layers."""
    layers: tuple[LayerPair, ...]
    """From bottom to top."""
    detail: FirstLayer | None = None

    @property
    def same(self) -> bool:
        """Whether they are the same image: the configuration names all layers by their contents."""
        return self.first.id == self.second.id

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "same": self.same,
            "manifest": self.manifest,
            "id": [self.first.id, self.second.id],
            "configuration": [asdict(one) for one in self.settings],
            "layers": [
                {
                    "name": pair.name,
                    "same": pair.same,
                    "diff_ids": [one.diff_id if one else None for one in (pair.first, pair.second)],
                }
                for pair in self.layers
            ],
            **({"first_layer": _plain_layer(self.detail)} if self.detail else {}),
        }


def _plain_layer(layer: FirstLayer) -> dict[str, Any]:
    files = [
        {
            "path": one.path,
            "kind": one.kind,
            "attributes": [asdict(attribute) for attribute in one.attributes],
            "bytes": [one.range.start, one.range.end] if one.range else None,
        }
        for one in layer.differences
    ]
    return {"name": layer.name, "files": files, **({"report": layer.report} if layer.report else {})}


def compare(first: Subject, second: Subject, *, look_inside: bool = True) -> Comparison:
    """Compare two images.

    Args:
        first: one of them.
        second: the other.
        look_inside: whether the lowest layer that differs is read, in both, where that can be.

    Raises:
        ImageError: one of them cannot be read.
    """
    pairs = tuple(
        LayerPair(number, *pair) for number, pair in enumerate(zip_longest(first.layers, second.layers))
    )
    settings = () if first.id == second.id else tuple(_all_settings(first.config, second.config))
    differing = next((pair for pair in pairs if not pair.same and pair.first and pair.second), None)
    detail = None
    tars_are_kept = not (first.remade or second.remade)
    if look_inside and tars_are_kept and differing and first.open and second.open:
        detail = _inside(first.open, second.open, differing)
    return Comparison(first, second, _manifests(first, second), settings, pairs, detail)


def _manifests(first: Subject, second: Subject) -> Manifest:
    if not (first.manifests and second.manifests):
        return "not compared"
    return "same" if set(first.manifests) & set(second.manifests) else "differs"


def _all_settings(first: dict[str, Any], second: dict[str, Any]) -> Iterator[Setting]:
    """Yield what two configurations say otherwise, but what layers tell, or one of them does not know."""
    part = {"config"} if {"config"} in (first.keys(), second.keys()) else {*first, *second} - {"rootfs"}
    ours, theirs = ({key: value for key, value in one.items() if key in part} for one in (first, second))
    yield from _settings(ours, theirs)


def _settings(first: Any, second: Any, name: str = "") -> Iterator[Setting]:
    """Yield what differs, as deep down as can be."""
    if first == second:
        return
    if isinstance(first, dict) and isinstance(second, dict):
        for key in dict.fromkeys((*first, *second)):
            below = f"{name}.{key}" if name else str(key)
            if key in first and key in second:
                yield from _settings(first[key], second[key], below)
            else:
                yield Setting(below, *(_json(one[key]) if key in one else "" for one in (first, second)))
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for number, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from _settings(one, other, f"{name}[{number}]")
    else:
        yield Setting(name, _json(first), _json(second))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _inside(first: Open, second: Open, pair: LayerPair) -> FirstLayer:
    with scratch.folder("compare") as folder:
        found = tars.compare(partial(first, pair.number), partial(second, pair.number), folder)
        return FirstLayer(pair.name, found, _report(folder))


def _report(folder: Path) -> str:
    """Return what diffoscope says of two files, where there are two and it is installed."""
    files: Sequence[Path] = (folder / "first", folder / "second")
    program = shutil.which(_PROGRAM)
    if not program or not all(path.exists() for path in files):
        return ""
    try:
        finished = run([program, "--no-progress", "--text-color=never", *files], cwd=folder, check=False)
    except ProcessError:
        return ""
    return finished.stdout if finished.returncode == _FOUND_DIFFERENCES else ""
