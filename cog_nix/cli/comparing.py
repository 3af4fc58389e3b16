"""What commands that compare print, and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.compare.images import Comparison, FirstLayer

DIFFERS = 3
"""Exit status of a command that compared, and found a difference."""
NOT_COMPARED = 4
"""Exit status of a command that could not compare."""

_SHOWN = 10
_WIDTH = 70


def told(found: Comparison, names: tuple[str, str]) -> Iterator[str]:
    """Yield a line for each part of two images, and what differs in the first layer that does.

    Args:
        found: what they were found to be.
        names: what each of them is called.
    """
    width = max((len(pair.name) for pair in found.layers), default=0)
    yield f"{'manifest':<{width + 6}}  {found.manifest}"
    yield f"{'configuration':<{width + 6}}  {'differs' if found.settings else 'same'}"
    for setting in found.settings:
        for name, value in zip(names, (setting.first, setting.second), strict=True):
            yield f"  {setting.name}: {name} has {_short(value) if value else 'none'}"
    for pair in found.layers:
        one = pair.first or pair.second
        said = "same" if pair.same else "differs" if pair.first and pair.second else "is in one only"
        yield f"layer {pair.name:<{width}}  {said}  {one.diff_id if one and pair.same else ''}".rstrip()
    if found.detail:
        yield from _inside(found.detail)
    elif any(not pair.same for pair in found.layers) and not (found.first.open and found.second.open):
        unpacked = found.first if not found.first.open else found.second
        yield f"{unpacked.title} has its layers unpacked: compare with an archive to see which files differ"


def _inside(layer: FirstLayer) -> Iterator[str]:
    count = len(layer.differences)
    yield f"In layer {layer.name}, the first that differs, {count} {'entry' if count == 1 else 'entries'}:"
    yield from (f"  {one}" for one in layer.differences[:_SHOWN])
    if count > _SHOWN:
        yield f"  and {count - _SHOWN} more"
    yield from (f"  {line}" for line in layer.report.splitlines())


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
