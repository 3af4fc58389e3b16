"""What ``cog-nix check --against`` prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cog_nix.check.interface import Effect
from cog_nix.check.result import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.check.release import Release, Trial

_WORDS = {Outcome.PASS: "pass", Outcome.FAIL: "fail", Outcome.NOT_APPLICABLE: "moot"}
_SHOWN = 240
_FAST = 10
"""Seconds below which milliseconds are told."""


def told(release: Release) -> Iterator[str]:
    """Yield lines: what became of the interface, how the questions went, how long they took, the verdict."""
    yield f"{release.new} in the place of {release.old}"
    yield ""
    yield "Interface"
    width = max((len(one.part) for one in release.findings), default=0)
    for one in release.findings:
        yield f"  {one.effect:<8} {one.part:<{width}}  {_line(one.detail)}".rstrip()
    for title, drawn in (("Checks of cog-nix.toml", False), (f"Random inputs, seed {release.seed}", True)):
        trials = [one for one in release.trials if one.drawn is drawn]
        if trials or (drawn and release.not_drawn):
            yield ""
            yield title
            yield from _trials(trials)
            if drawn and release.not_drawn:
                yield f"  none: {release.not_drawn}"
    if release.timings:
        yield ""
        width = max(len(one.what) for one in release.timings)
        yield f"{'Timings':<{width + 2}} {'old':>10} {'new':>10}"
        for timing in release.timings:
            change = f"{timing.new / timing.old:>8.2f}x" if timing.old else ""
            times = f"{seconds(timing.old):>10} {seconds(timing.new):>10} {change}"
            yield f"  {timing.what:<{width}} {times}".rstrip()
    yield ""
    yield verdict(release)


def _trials(trials: list[Trial]) -> Iterator[str]:
    width = max((len(one.name) for one in trials), default=0)
    for one in trials:
        times = " ".join(f"{seconds(each):>9}" for each in (one.old_seconds, one.new_seconds))
        outcome = "differs" if one.changed and one.outcome is Outcome.PASS else _WORDS[one.outcome]
        inputs = json.dumps(one.inputs, ensure_ascii=False) if one.drawn else ""
        yield f"  {outcome:<8} {one.name:<{width}} {times}  {_line(inputs or one.detail)}".rstrip()
        if inputs and one.detail:
            yield f"  {'':<8} {_line(one.detail)}"


def seconds(value: float | None) -> str:
    """Return a time for people."""
    if value is None:
        return ""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s" if value < _FAST else f"{value:.1f} s"


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def verdict(release: Release) -> str:
    """Return what all of it comes to, in a sentence."""
    if not release.compatible:
        count = release.broken
        things = "thing breaks" if count == 1 else "things break"
        return f"A client of {release.old} cannot use {release.new}: {count} {things}."
    counts = (
        (sum(one.effect is Effect.DIFFERENT for one in release.findings), "part differs", "parts differ"),
        (sum(one.changed for one in release.trials), "answer is another", "answers are others"),
    )
    notes = ", ".join(f"{count} {one if count == 1 else more}" for count, one, more in counts if count)
    return f"A client of {release.old} may use {release.new}{f' ({notes})' if notes else ''}."
