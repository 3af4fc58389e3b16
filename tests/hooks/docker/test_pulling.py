"""What a bar shows while Docker pulls."""

from __future__ import annotations

from typing import Any

import pytest

from cog_nix_hooks.docker.pulling import PullProgress


class Bar:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.done, self.total = 0, 0

    def advance(self, amount: int) -> None:
        self.done += amount
        assert self.done <= self.total

    def describe(self, text: str) -> None:
        raise AssertionError(text)

    def expect(self, total: int) -> None:
        self.total = total


def fetching(name: str, current: int, total: int) -> dict[str, Any]:
    return {"id": name, "status": "Downloading", "progressDetail": {"current": current, "total": total}}


def done(name: str) -> dict[str, Any]:
    return {"id": name, "status": "Download complete", "progressDetail": {}}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"status": "Pulling from you/model", "id": "latest"}], (0, 0)),
        ([fetching("a", 10, 100)], (10, 100)),
        ([fetching("a", 10, 100), fetching("b", 5, 50), fetching("a", 60, 100)], (65, 150)),
        ([fetching("a", 10, 100), done("a"), {"id": "a", "status": "Extracting"}], (100, 100)),
        ([fetching("a", 60, 100), fetching("a", 10, 100)], (60, 100)),
        ([fetching("a", 120, 100)], (100, 100)),
        ([done("a")], (0, 0)),
    ],
)
def test_the_layers_are_added_up(messages: list[dict[str, Any]], expected: tuple[int, int]) -> None:
    bar = Bar()
    progress = PullProgress(bar)
    for message in messages:
        progress.take(message)
    assert (bar.done, bar.total) == expected
