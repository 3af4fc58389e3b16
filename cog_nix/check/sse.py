"""Server-sent events, as far as Cog uses them (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from typing import Any

from cog_nix.system.jsonvalue import loads


def parse(text: str) -> list[dict[str, Any]]:
    """Return a stream's events as ``{"event": name, "data": JSON}``; comments (keep-alives) are left out.

    Raises:
        ValueError: data is no JSON.
    """
    events = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields: dict[str, list[str]] = {}
        for line in block.splitlines():
            name, colon, value = line.partition(":")
            if colon and name:
                fields.setdefault(name, []).append(value.removeprefix(" "))
        if "data" in fields:
            name = fields.get("event", ["message"])[-1]
            events.append({"event": name, "data": loads("\n".join(fields["data"]))})
    return events
