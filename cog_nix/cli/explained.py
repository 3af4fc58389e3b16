"""What ``cog-nix explain`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.cli.terminal import amount

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cog_nix.explain.contents import Sizes
    from cog_nix.explain.report import PackageReport, Report

_SHOWN = 3
"""Other images that are named beside a layer."""
_WIDTH = 90
_HEAD = f"{'on disk':>10} {'stored':>10} {'pulled':>10}"


def plain(text: str) -> str:
    """Return what an image says of itself in one line that a terminal only shows."""
    words = " ".join(text.split())
    text = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in words)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"


def told(report: Report, most: int | None) -> Iterator[str]:
    """Yield what an image consists of, in lines.

    Args:
        report: of the image.
        most: how many packages are shown; None: all.
    """
    yield f"{report.title}  {report.id}"
    yield ""
    yield f"{_HEAD}  by layer"
    for number, layer in enumerate(report.layers, 1):
        shared = f"  (also in {_some(layer.shared)})" if layer.shared else ""
        name = plain(layer.name) or f"layer {number}"
        yield f"{_sizes(layer.sizes, estimated=layer.estimated)}  {name}{shared}"
    yield f"{_sizes(report.sizes, estimated=report.estimated)}  in all"
    if report.others:
        yield f"{_sizes(report.own, estimated=report.estimated)}  in no other image of {report.others}"
    if report.hidden.disk:
        yield f"{_sizes(report.hidden, estimated=report.estimated)}  hidden by layers above"
    yield ""
    yield f"{_HEAD}  by package"
    for one in report.packages[:most]:
        yield f"{_sizes(one.sizes, estimated=report.estimated)}  {_name(one)}"
    yield from _rest(len(report.packages), most)
    yield ""
    yield f"{_HEAD}  by who asked for it (alone: what nobody else needs)"
    for asker in report.askers[:most]:
        count = "1 package" if asker.packages == 1 else f"{asker.packages} packages"
        alone = f"{count}, {amount(asker.alone.disk)} alone"
        yield f"{_sizes(asker.sizes, estimated=report.estimated)}  {plain(asker.title)}  ({alone})"
    yield from _rest(len(report.askers), most)
    if report.estimated:
        yield ""
        yield "~ is what it will be once it is pushed, within some percent."


def _rest(count: int, most: int | None) -> Iterator[str]:
    if most is not None and count > most:
        yield f"{'':32}  and {count - most} more (--all)"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _sizes(sizes: Sizes, *, estimated: bool) -> str:
    pulled = f"{'~' if estimated else ''}{amount(sizes.pulled)}"
    return f"{amount(sizes.disk):>10} {amount(sizes.stored):>10} {pulled:>10}"


def _name(one: PackageReport) -> str:
    kind = " (Python)" if one.owner.kind == "python" else ""
    return plain(f"{one.owner.name} {one.owner.version}{kind}")


def tree(report: Report, most: int | None) -> Iterator[str]:
    """Yield what came because of what: below each asker packages, with the sizes of all below them on disk.

    Args:
        report: of the image.
        most: how many branches are shown at each place; None: all.
    """
    yield f"{amount(report.sizes.disk):>10}  {report.title}"
    for asker in report.askers:
        mine = {one.owner.key: one for one in report.packages if one.asker == asker.title}
        below: dict[str, list[str]] = {}
        for key, one in mine.items():
            parent = next((each for each in reversed(one.chain[:-1]) if each in mine), "")
            below.setdefault(parent, []).append(key)
        yield f"{amount(asker.sizes.disk):>10}  {plain(asker.title)}"
        yield from _branches("", "", below, mine, most)


def _weight(key: str, below: Mapping[str, Sequence[str]], packages: Mapping[str, PackageReport]) -> int:
    own = packages[key].sizes.disk
    return own + sum(_weight(one, below, packages) for one in below.get(key, ()))


def _branches(
    parent: str,
    indent: str,
    below: Mapping[str, Sequence[str]],
    packages: Mapping[str, PackageReport],
    most: int | None,
) -> Iterator[str]:
    weights = {key: _weight(key, below, packages) for key in below.get(parent, ())}
    ordered = sorted(weights, key=lambda key: (-weights[key], key))
    shown, left = (ordered, []) if most is None else (ordered[:most], ordered[most:])
    for key in shown:
        last = key == ordered[-1]
        yield f"{amount(weights[key]):>10}  {indent}{'└─' if last else '├─'} {_name(packages[key])}"
        yield from _branches(key, f"{indent}{'   ' if last else '│  '}", below, packages, most)
    if left:
        size = sum(weights[key] for key in left)
        yield f"{amount(size):>10}  {indent}└─ {len(left)} more (--all)"
