"""``weights.lock``: what an import recorded about ``weights:``, read, written and held against cog.yaml.

The files of a weight are not in the image: Cog keeps them beside it in the registry, and mounts them. The
image carries ``/src/.cog/weights.json``, by which its server knows what to wait for. Version 1 of the
format, as Cog 0.23.1 writes it.
"""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING, Any

from cog_nix.config.label import ESCAPED
from cog_nix.errors import ConfigError
from cog_nix.system import jsonvalue
from cog_nix.system.jsonvalue import list_of, mapping_of, size_of, text_of
from cog_nix.system.regular import read_bytes
from cog_nix.weights.model import DIGEST, LockedFile, LockedLayer, LockedSource, LockedWeight, WeightsLock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cog_nix.config.model import Config, Weight, WeightSource

NAME = "weights.lock"
VERSION = 1
_HINT = "Run `cog-nix weights import`, which writes weights.lock."


def read(root: Path) -> tuple[LockedWeight, ...]:
    """Return the weights of a project's lock; see :func:`read_lock`."""
    return read_lock(root).weights


def read_lock(root: Path) -> WeightsLock:
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
        weights = tuple(_weight(mapping_of(entry)) for entry in list_of(data["weights"]))
        envelope = text_of(data.get("envelopeFormat") or "")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{NAME} is not a lock of weights: {error!r}", hint=_HINT) from error
    _check_unique(weights)
    return WeightsLock(weights, envelope)


def read_or_empty(root: Path) -> WeightsLock:
    """Read the lock of a project; an empty one where there is none yet.

    Raises:
        ConfigError: it is damaged, of another version, or names something twice.
    """
    return read_lock(root) if (root / NAME).exists() else WeightsLock()


def format_lock(lock: WeightsLock) -> bytes:
    """Return the content of ``weights.lock``, byte for byte what upstream writes of the same."""
    data = {
        "version": VERSION,
        "envelopeFormat": lock.envelope,
        "weights": [_entry(weight) for weight in lock.weights],
    }
    return _indented(data).encode()


def check(root: Path, config: Config) -> None:
    """Refuse a lock that does not fit ``weights:`` (upstream's own words).

    Raises:
        ConfigError: there is no lock, or something was added, changed or removed since it was written.
    """
    if not config.weights:
        return
    locked = {weight.name: weight for weight in read_or_empty(root).weights}
    lines = [f'  - "{name}": {what}' for name, what in drift(config.weights, locked)]
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
    return _indented({"weights": entries})


def _indented(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2).translate(ESCAPED)


def _weight(entry: dict[str, Any]) -> LockedWeight:
    return LockedWeight(
        text_of(entry.get("name", "")),
        text_of(entry.get("target", "")),
        text_of(entry.get("setDigest", "")),
        tuple(map(_source, entry.get("sources") or ())),
        text_of(entry.get("digest") or ""),
        size_of(entry.get("size") or 0),
        tuple(map(_file, entry.get("files") or ())),
        tuple(map(_layer, entry.get("layers") or ())),
        text_of(entry.get("importedAt") or ""),
    )


def _source(entry: dict[str, Any]) -> LockedSource:
    include, exclude = (tuple(map(text_of, entry.get(key) or ())) for key in ("include", "exclude"))
    return LockedSource(text_of(entry["uri"]), include, exclude, text_of(entry.get("fingerprint") or ""))


def _file(entry: dict[str, Any]) -> LockedFile:
    path = text_of(entry["path"])
    if not is_inside(path):
        raise ValueError(f"{path!r} is not a path in the weight's folder")
    return LockedFile(path, size_of(entry["size"]), _digest(entry["digest"]), _digest(entry["layer"]))


def _layer(entry: dict[str, Any]) -> LockedLayer:
    kind = text_of(entry["mediaType"])
    size, content = size_of(entry["size"]), size_of(entry["sizeUncompressed"])
    return LockedLayer(_digest(entry["digest"]), kind, size, content)


def _digest(value: object) -> str:
    digest = text_of(value)
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a sha256 digest")
    return digest


def is_inside(path: str) -> bool:
    """Whether a path, with slashes, leads to something in the folder that it is relative to."""
    parts = path.split("/")
    return "\0" not in path and not {"", ".", ".."} & set(parts)


def _entry(weight: LockedWeight) -> dict[str, Any]:
    """Return what is written of a weight, in upstream's order of keys."""
    return {
        "name": weight.name,
        "target": weight.target,
        "sources": [
            {
                "uri": source.uri,
                "fingerprint": source.fingerprint,
                "include": list(source.include),
                "exclude": list(source.exclude),
            }
            for source in weight.sources
        ],
        "importedAt": weight.imported,
        "digest": weight.digest,
        "setDigest": weight.set_digest,
        "size": weight.size,
        "sizeCompressed": weight.blob_size,
        "files": [
            {"path": file.path, "size": file.size, "digest": file.digest, "layer": file.layer}
            for file in weight.files
        ],
        "layers": [
            {
                "digest": layer.digest,
                "mediaType": layer.media_type,
                "size": layer.size,
                "sizeUncompressed": layer.content_size,
            }
            for layer in weight.layers
        ],
    }


def _check_unique(weights: Sequence[LockedWeight]) -> None:
    for what, values in (
        ("name", [weight.name for weight in weights]),
        ("target", [posixpath.normpath(weight.target) for weight in weights if weight.target]),
    ):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ConfigError(f'{NAME}: duplicate weight {what} "{twice}"', hint=_HINT)


def drift(configured: Sequence[Weight], locked: dict[str, LockedWeight]) -> Iterator[tuple[str, str]]:
    """Yield the names of weights that are not as they were imported, and how; in upstream's words."""
    for weight in configured:
        entry = locked.get(weight.name)
        if entry is None:
            yield weight.name, "not imported yet"
            continue
        details = "; ".join(changes(weight, entry))
        if details:
            yield weight.name, f"config changed ({details})"
    known = {weight.name for weight in configured}
    for name in (name for name in locked if name not in known):
        yield name, "removed from cog.yaml but still in lockfile"


def sources_of(weight: Weight) -> tuple[LockedSource, ...]:
    """Return the sources of a weight as the lock writes them, without fingerprints.

    Raises:
        ConfigError: one of them cannot be read.
    """
    return tuple(
        LockedSource(canonical_uri(weight, source), _sorted(source.include), _sorted(source.exclude))
        for source in weight.sources
    )


def changes(weight: Weight, entry: LockedWeight) -> Iterator[str]:
    """Yield what cog.yaml says of a weight and the lock does not."""
    if weight.target != entry.target:
        yield f"target: {entry.target} → {weight.target}"
    if len(weight.sources) != len(entry.sources):
        yield f"source count: {len(entry.sources)} → {len(weight.sources)}"
        return
    for position, (now, was) in enumerate(zip(sources_of(weight), entry.sources, strict=True)):
        prefix = f"source[{position}]." if len(weight.sources) > 1 else ""
        if was.uri != now.uri:
            yield f"{prefix}uri: {was.uri} → {now.uri}"
        for key, old, new in (("include", was.include, now.include), ("exclude", was.exclude, now.exclude)):
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
