"""A report as one page for a browser: nothing is fetched, and nothing runs but the page's own script."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.explain.owners import KINDS

if TYPE_CHECKING:
    from cog_nix.explain.contents import Sizes
    from cog_nix.explain.report import Report
    from cog_nix.plugins.spec import SystemDatabase

_PAGE = Path(__file__).with_name("page.html")
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def page(report: Report, database: SystemDatabase) -> bytes:
    """Return a report as HTML.

    Args:
        report: what it shows.
        database: of its system packages.
    """
    text = _PAGE.read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; script-src {_hash(_SCRIPT, text)}; style-src {_hash(_STYLE, text)}; "
        "style-src-attr 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )
    # In a script, "<" might end it or begin a comment (HTML, "Restrictions for contents of script elements").
    data = json.dumps(_data(report, database), ensure_ascii=True, separators=(",", ":"))
    values = {"POLICY": policy, "TITLE": html.escape(report.title), "DATA": data.replace("<", "\\u003c")}
    return re.sub(r"@(POLICY|TITLE|DATA)@", lambda found: values[found[1]], text).encode()


def _hash(pattern: re.Pattern[str], text: str) -> str:
    """Return what names an element's contents (Content Security Policy Level 3, "hash-source")."""
    (found,) = pattern.findall(text)
    return f"'sha256-{base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()}'"


def _data(report: Report, database: SystemDatabase) -> dict[str, Any]:
    askers = {one.title: number for number, one in enumerate(report.askers)}
    return {
        "title": report.title,
        "id": report.id,
        "sizes": _sizes(report.sizes),
        "hidden": _sizes(report.hidden),
        "own": _sizes(report.own),
        "estimated": report.estimated,
        "others": report.others,
        "kinds": {database.kind: database.title, **KINDS},
        "layers": [
            {
                "name": one.name,
                "digest": one.diff_id,
                "sizes": _sizes(one.sizes),
                "shared": one.shared,
            }
            for one in report.layers
        ],
        "askers": [
            {
                "name": one.title,
                "sizes": _sizes(one.sizes),
                "alone": _sizes(one.alone),
                "count": one.packages,
            }
            for one in report.askers
        ],
        "packages": [
            {
                "key": one.owner.key,
                "kind": one.owner.kind,
                "name": one.owner.name,
                "version": one.owner.version,
                "sizes": _sizes(one.sizes),
                "parts": [[part.layer, _sizes(part.sizes)] for part in one.parts],
                "asker": askers[one.asker],
                "chain": one.chain,
                "files": one.files,
                "count": one.count,
            }
            for one in report.packages
        ],
    }


def _sizes(sizes: Sizes) -> list[int]:
    return [sizes.disk, sizes.stored, sizes.pulled]
