"""Which Python distributions an image has: those of the lock, and what commands made of them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import unpack

_INFO = re.compile(
    r"usr/local/lib/python[\d.]+/site-packages/(?P<hidden>\.wh\.)?(?P<stem>[^/]+-[^/-]+)\.dist-info(/METADATA)?"
)


def after(locked: Iterable[dict[str, str]], results: Iterable[Path]) -> list[dict[str, str]]:
    """Return name and version, and for direct references ``origin``, of every distribution.

    Args:
        locked: the same for the lock's wheels.
        results: what commands left behind, in order.
    """
    found = {_stem(one["name"], one["version"]): one for one in locked}
    for result in results:
        import unpack  # noqa: PLC0415 - most images have no commands, and this runs at every edit

        view = unpack.View()
        for _, _, path in view.add(result):
            if (info := _INFO.fullmatch(path)) is None:
                continue
            stem = _stem(*info["stem"].rsplit("-", 1))
            if info["hidden"]:
                found.pop(stem, None)
            elif path.endswith("/METADATA"):
                found[stem] = _read(view, path.removesuffix("METADATA"))
    return list(found.values())


def _stem(name: str, version: str) -> str:
    return f"{re.sub(r'[-_.]+', '_', name).lower()}-{version}"


def _read(view: unpack.View, folder: str) -> dict[str, str]:
    import email.parser  # noqa: PLC0415 - as above

    metadata = email.parser.HeaderParser().parsestr(
        view.contents(f"{folder}METADATA").decode(errors="replace")
    )
    found = {"name": metadata["Name"], "version": metadata["Version"]}
    if f"{folder}direct_url.json" in view:
        found["origin"] = _origin(json.loads(view.contents(f"{folder}direct_url.json")))
    return found


def _origin(direct: dict[str, Any]) -> str:
    """Return a direct reference as ``pip freeze`` writes it (PEP 610)."""
    url = direct["url"]
    fragments = []
    if vcs := direct.get("vcs_info"):
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    elif digest := direct.get("archive_info", {}).get("hash"):
        fragments.append(digest)
    if subdirectory := direct.get("subdirectory"):
        fragments.append(f"subdirectory={subdirectory}")
    return f"{url}#{'&'.join(fragments)}" if fragments else str(url)
