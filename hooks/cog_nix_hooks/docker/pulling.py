"""How far a pull is, from what the daemon says while it fetches (Docker Engine API, "ImageCreate")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.report import Bar

_FETCHING = "Downloading"
_FETCHED = "Download complete"


class PullProgress:
    """Adds up the layers of a pull.

    Args:
        bar: counts the bytes of all of them.
    """

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._layers: dict[str, tuple[int, int]] = {}
        """Bytes that have come and bytes in all, by layer."""

    def take(self, message: Mapping[str, Any]) -> None:
        """Note a line of the answer; those that are not about bytes are passed over."""
        name, status = str(message.get("id", "")), message.get("status")
        before, total = self._layers.get(name, (0, 0))
        now = before
        if status == _FETCHING and (detail := message.get("progressDetail")):
            now, total = int(detail.get("current") or 0), int(detail.get("total") or 0)
        elif status == _FETCHED:
            now = total
        now = max(before, min(now, total))
        if (now, total) != (before, self._layers.get(name, (0, 0))[1]):
            self._layers[name] = now, total
            self._bar.expect(sum(size for _, size in self._layers.values()))
            self._bar.advance(now - before)
