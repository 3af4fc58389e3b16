"""What changed, as commands print it: a table in plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.cli.terminal import amount

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cog_nix.compare.diff import Diff
    from cog_nix.lock.changes import Change

_FIXES = 4
"""Identifiers that a line of the table has at most: the newest."""
_HEADS = ("", "package", "old", "new", "size", "")


def told(found: Diff) -> Iterator[str]:
    """Yield the lines."""
    if not found:
        yield f"No change from {found.old.title} to {found.new.title}."
        return
    yield f"{found.old.title} -> {found.new.title}"
    yield from (f"{name}: {old or 'none'} -> {new or 'none'}" for name, old, new in found.facts)
    for kind, title in ((False, "In the image"), (True, "For builds only")):
        some = [one for one in found.changes if _for_builds(one) is kind]
        if some:
            yield ""
            yield f"{title}: {_counted(some)}"
            yield from _table(found, some)
    if found.layered:
        yield ""
        yield from _layers(found)


def _for_builds(change: Change) -> bool:
    one = change.new or change.old
    return bool(one and one.for_builds)


def _counted(changes: Sequence[Change]) -> str:
    moves = [one.move for one in changes]
    return ", ".join(
        f"{moves.count(move)} {move}" for move in ("added", "removed", "changed") if move in moves
    )


def _table(found: Diff, changes: Sequence[Change]) -> Iterator[str]:
    rows = [_HEADS, *(_row(found, change) for change in changes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()


def _row(found: Diff, change: Change) -> tuple[str, ...]:
    old, new = change.old, change.new
    sizes = [one.size if one else 0 for one in (old, new)]
    difference = sizes[1] - sizes[0]
    known = all(one.size for one in (old, new) if one)
    size = f"{'-' if difference < 0 else '+'}{amount(abs(difference))}" if known and difference else ""
    versions = (old.version if old else "", new.version if new else "")
    return change.move, change.title, *versions, size, _remark(found, change)


def _remark(found: Diff, change: Change) -> str:
    """Return who asked for what came, or what a newer package closes."""
    fixes = found.fixes.get(change.new.name) if change.new and change.new.deb else None
    if fixes:
        more = f" and {len(fixes) - _FIXES} more" if len(fixes) > _FIXES else ""
        return f"closes {', '.join(fixes[-_FIXES:])}{more}"
    reasons = found.reasons.get(change.title) if change.move == "added" else None
    return reasons[-1] if reasons else ""


def _layers(found: Diff) -> Iterator[str]:
    count, all_of = len(found.shared), len(found.new.layers)
    about = "about " if found.new.lock else ""
    yield f"Layers: {count} of {all_of} are shared; {about}{amount(found.bytes)} to fetch"
    for layer in found.fetched:
        yield f"  {layer.name or layer.key[:19]}  {amount(layer.size)}"
