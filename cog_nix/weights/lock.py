"""``weights.lock``: what `cog weights import` recorded about ``weights:``, and what an image says of it.

The files of a weight are not in the image: Cog keeps them beside it in the registry, and mounts them. The
image carries ``/src/.cog/weights.json``, by which its server knows what to wait for. Version 1 of the
format, as Cog 0.23.1 writes it.
"""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cog_nix.config.label import ESCAPED
from cog_nix.errors import ConfigError
from cog_nix.system import jsonvalue
from cog_nix.system.regular import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cog_nix.config.model import Config, Weight, WeightSource

NAME = "weights.lock"
VERSION = 1
_HINT = "Run `cog weights import`, which writes weights.lock; cog-nix only reads it."


@dataclass(frozen=True)
class LockedWeight:
    """One entry of the lock, as far as an image needs it."""

    name: str
    target: str
    set_digest: str
    """Digest over the paths and contents of its files."""
    sources: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    """URI, include and exclude patterns of each source, as they were imported."""
    digest: str = ""
    """Digest of its manifest in the registry; "" in locks that do not say."""
    size: int = 0
    """Bytes of its files, uncompressed."""


def read(root: Path) -> tuple[LockedWeight, ...]:
    """Read the lock of a project.

    Args:
        root: the folder that holds it.

    Raises:
        ConfigError: it is missing, damaged, of another version, or names something twice.
    """
    try:
        data = jsonvalue.loads(read_bytes(root / NAME))
    except FileNotFoundError as error:
        raise ConfigError(
            f"managed weights configured but no lockfile found: there is no {NAME}", hint=_HINT
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{NAME} cannot be read: {error}", hint=_HINT) from error
    try:
        if data["version"] != VERSION:
            raise ConfigError(f"unsupported {NAME} version {data['version']} (want {VERSION})", hint=_HINT)
        weights = tuple(_weight(entry) for entry in data["weights"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{NAME} is not a lock of weights: {error!r}", hint=_HINT) from error
    _check_unique(weights)
    return weights


def check(root: Path, config: Config) -> None:
    """Refuse a lock that does not fit ``weights:`` (upstream's own words).

    Raises:
        ConfigError: there is no lock, or something was added, changed or removed since it was written.
    """
    if not config.weights:
        return
    locked = {weight.name: weight for weight in (read(root) if (root / NAME).exists() else ())}
    lines = [f'  - "{name}": {what}' for name, what in _drift(config.weights, locked)]
    if lines:
        raise ConfigError("\n".join([f"{NAME} is out of sync with cog.yaml:", *lines]), hint=_HINT)


def of_config(root: Path, config: Config) -> tuple[LockedWeight, ...]:
    """Return the locked weights of a project, in the order of cog.yaml.

    Raises:
        ConfigError: the lock does not fit, or cannot be read.
    """
    if not config.weights:
        return ()
    check(root, config)
    locked = {weight.name: weight for weight in read(root)}
    return tuple(locked[weight.name] for weight in config.weights)


def manifest(weights: Sequence[LockedWeight]) -> str:
    """Return the content of ``/src/.cog/weights.json``, byte for byte what upstream writes."""
    entries = [{"name": w.name, "target": w.target, "setDigest": w.set_digest} for w in weights]
    return json.dumps({"weights": entries}, ensure_ascii=False, indent=2).translate(ESCAPED)


def _weight(entry: dict[str, Any]) -> LockedWeight:
    sources = tuple(
        (str(one["uri"]), tuple(one.get("include") or ()), tuple(one.get("exclude") or ()))
        for one in entry.get("sources") or ()
    )
    name, target, digest = (entry.get(key, "") for key in ("name", "target", "setDigest"))
    if not all(isinstance(text, str) for text in (name, target, digest)):
        raise TypeError("a name, target or setDigest is not a text")
    manifest_digest, size = entry.get("digest") or "", entry.get("size") or 0
    if not (isinstance(manifest_digest, str) and isinstance(size, int)):
        raise TypeError("a digest is not a text, or a size is not a number")
    return LockedWeight(name, target, digest, sources, manifest_digest, size)


def _check_unique(weights: Sequence[LockedWeight]) -> None:
    for what, values in (
        ("name", [weight.name for weight in weights]),
        ("target", [posixpath.normpath(weight.target) for weight in weights if weight.target]),
    ):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ConfigError(f'{NAME}: duplicate weight {what} "{twice}"', hint=_HINT)


def _drift(configured: Sequence[Weight], locked: dict[str, LockedWeight]) -> Iterator[tuple[str, str]]:
    for weight in configured:
        entry = locked.get(weight.name)
        if entry is None:
            yield weight.name, "not imported yet"
            continue
        details = "; ".join(_changes(weight, entry))
        if details:
            yield weight.name, f"config changed ({details})"
    known = {weight.name for weight in configured}
    for name in (name for name in locked if name not in known):
        yield name, "removed from cog.yaml but still in lockfile"


def _changes(weight: Weight, entry: LockedWeight) -> Iterator[str]:
    if weight.target != entry.target:
        yield f"target: {entry.target} → {weight.target}"
    if len(weight.sources) != len(entry.sources):
        yield f"source count: {len(entry.sources)} → {len(weight.sources)}"
        return
    for position, (source, was) in enumerate(zip(weight.sources, entry.sources, strict=True)):
        prefix = f"source[{position}]." if len(weight.sources) > 1 else ""
        uri, *patterns = was
        now = canonical_uri(weight, source)
        if uri != now:
            yield f"{prefix}uri: {uri} → {now}"
        wanted = (_sorted(source.include), _sorted(source.exclude))
        for key, old, new in zip(("include", "exclude"), patterns, wanted, strict=True):
            if old != new:
                yield f"{prefix}{key}: [{' '.join(old)}] → [{' '.join(new)}]"


def _sorted(patterns: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(sorted(pattern.strip() for pattern in patterns or ()))


def canonical_uri(weight: Weight, source: WeightSource) -> str:
    """Return a source's URI as the lock writes it.

    Args:
        weight: whose, for error messages.
        source: where its files come from: a path, or ``file://``, ``hf://``, ``huggingface://``, ``http(s)://``.

    Raises:
        ConfigError: it is none of these.
    """
    scheme, separator, rest = source.uri.partition("://")
    try:
        if not separator or scheme == "file":
            return _file_uri(rest if separator else source.uri)
        if scheme in {"hf", "huggingface"}:
            return _hugging_face_uri(rest)
        if scheme in {"http", "https"}:
            return _http_uri(source.uri)
        raise ValueError(f'unsupported weight source scheme "{scheme}"')  # noqa: TRY301 - one message for all
    except ValueError as error:
        raise ConfigError(
            f'weight "{weight.name}": {error}: {_without_credentials(source.uri)}',
            hint="Write a folder of the project, file:///an/absolute/path, hf://org/repo, or https://…",
        ) from error


def _file_uri(path: str) -> str:
    cleaned = posixpath.normpath(path) if path else ""
    cleaned = f"/{cleaned.lstrip('/')}" if cleaned.startswith("/") else cleaned
    if not path or cleaned == ".":
        raise ValueError("weight source cannot be the project directory itself")
    if cleaned.startswith(".."):
        raise ValueError("weight source escapes the project directory")
    return f"file://{cleaned}" if cleaned.startswith("/") else f"file://./{cleaned}"


def _hugging_face_uri(rest: str) -> str:
    repository, at, revision = rest.rpartition("@") if rest.rfind("@") > 0 else (rest, "", "main")
    organisation, slash, name = repository.partition("/")
    if not (organisation and slash and name) or "/" in name or (at and not revision):
        raise ValueError("expected hf://org/repo or hf://org/repo@revision")
    return f"hf://{repository}" if revision == "main" else f"hf://{repository}@{revision}"


def _http_uri(uri: str) -> str:
    from urllib.parse import urlsplit  # noqa: PLC0415 - slow to import, and rarely needed

    parts = urlsplit(uri)
    if "@" in parts.netloc:
        raise ValueError("HTTP URI must not embed credentials (user:pass@host)")
    return parts._replace(scheme=parts.scheme.lower()).geturl()


def _without_credentials(uri: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", uri)
