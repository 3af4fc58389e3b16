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
        if isinstance(weight, dict):
            yield from _name(document, position, weight.get("name"), names)
            yield from _target(document, position, weight.get("target"), targets)
            yield from _patterns(document, position, weight.get("source"))


def _name(document: Document, position: int, name: Any, seen: set[str]) -> Iterator[Problem]:
    if not isinstance(name, str):
        return
    line = document.line("weights", position, "name")
    if not _NAME.fullmatch(name):
        what = f'invalid weights[{position}].name "{name}": must contain only '
        yield Problem(
            line,
            f"{what}lowercase alphanumeric characters, hyphens, dots, or underscores",
            "For example: name: base-model",
        )
    elif name in seen:
        yield Problem(
            line,
            f'invalid weights[{position}].name "{name}": duplicate weight name',
            "Give each its own name.",
        )
    seen.add(name)


def _target(document: Document, position: int, target: Any, seen: list[str]) -> Iterator[Problem]:
    if not isinstance(target, str):
        return
    line = document.line("weights", position, "target")
    prefix = f'invalid weights[{position}].target "{target}"'
    cleaned = posixpath.normpath(target) if target else ""
    overlapping = next((o for o in seen if cleaned.startswith(f"{o}/") or o.startswith(f"{cleaned}/")), None)
    if not target.startswith("/"):
        yield Problem(line, f"{prefix}: target must be an absolute path", f"Write: target: /src/{target}")
    elif cleaned.strip("/") == "":
        yield Problem(
            line, f'{prefix}: target must not be the container root "/"', "For example: target: /src/weights"
        )
    elif cleaned in seen:
        yield Problem(line, f"{prefix}: duplicate weight target", "Give each its own folder.")
    elif overlapping:
        what = f'{prefix}: target overlaps with "{overlapping}"; weight targets must be disjoint'
        yield Problem(line, what, "Give each its own folder.")
    seen.append(cleaned)


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
