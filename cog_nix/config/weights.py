"""Rules for ``weights:``."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from cog_nix.config.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.config.document import Document

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
"""Names become part of tags, so they keep to what a registry allows there (OCI distribution-spec)."""


def weight_problems(document: Document) -> Iterator[Problem]:
    """Yield what is wrong with the weights of a document."""
    weights = document.data.get("weights")
    if not isinstance(weights, list) or not weights:
        return
    if not document.data.get("model"):
        image = document.data.get("image")
        what = "weights require 'model', not 'image'" if image else "weights require 'model' in cog.yaml"
        fix = "Rename 'image' to 'model'." if image else "Add: model: registry.example.org/you/model"
        yield Problem(document.line("image" if image else "weights"), what, fix)
    names: set[str] = set()
    targets: list[str] = []
    for position, weight in enumerate(weights):
        if not isinstance(weight, dict):
            continue
        for key, trouble in (
            ("name", _name(weight.get("name"), names)),
            ("target", _target(weight.get("target"), targets)),
        ):
            if trouble:
                what = f'invalid weights[{position}].{key} "{weight[key]}": {trouble[0]}'
                yield Problem(document.line("weights", position, key), what, trouble[1])
        yield from _patterns(document, position, weight.get("source"))


_Trouble = tuple[str, str]
"""What is wrong, and what to write."""


def _name(name: Any, seen: set[str]) -> _Trouble | None:
    if not isinstance(name, str):
        return None
    is_known = name in seen
    seen.add(name)
    if not _NAME.fullmatch(name):
        allowed = "lowercase alphanumeric characters, hyphens, dots, or underscores"
        return f"must contain only {allowed}", "For example: name: base-model"
    return ("duplicate weight name", "Give each its own name.") if is_known else None


def _target(target: Any, seen: list[str]) -> _Trouble | None:
    if not isinstance(target, str):
        return None
    cleaned = posixpath.normpath(target) if target else ""
    others = tuple(seen)
    seen.append(cleaned)
    if not target.startswith("/"):
        return "target must be an absolute path", f"Write: target: /src/{target}"
    if cleaned.strip("/") == "":
        return 'target must not be the container root "/"', "For example: target: /src/weights"
    if cleaned in others:
        return "duplicate weight target", "Give each its own folder."
    overlapping = next((o for o in others if cleaned.startswith(f"{o}/") or o.startswith(f"{cleaned}/")), "")
    what = f'target overlaps with "{overlapping}"; weight targets must be disjoint'
    return (what, "Give each its own folder.") if overlapping else None


def _patterns(document: Document, position: int, source: Any) -> Iterator[Problem]:
    many = isinstance(source, list) and len(source) > 1
    for number, one in enumerate(source if isinstance(source, list) else [source]):
        at: tuple[str | int, ...] = (
            "weights",
            position,
            "source",
            *([number] if isinstance(source, list) else []),
        )
        shown = f"weights[{position}].source" + (f"[{number}]" if many else "")
        for key in ("include", "exclude"):
            patterns = one.get(key) if isinstance(one, dict) else None
            for index, pattern in enumerate(patterns if isinstance(patterns, list) else []):
                trouble = _trouble(pattern.strip()) if isinstance(pattern, str) else ""
                if trouble:
                    what = f"invalid {shown}.{key}[{index}]: {trouble}"
                    yield Problem(document.line(*at, key, index), what, "For example: *.safetensors")


def _trouble(pattern: str) -> str:
    if not pattern:
        return "pattern must not be empty"
    if pattern.startswith("!"):
        return "negation patterns (starting with '!') are not supported"
    return "patterns must use forward slashes, not backslashes" if "\\" in pattern else ""
