"""Put the project under ``/src``, and read from it what the image says about itself.

Spec::

    {"project": store path, "config": "cog.yaml", "configuration": what :mod:`configuration` made of it,
     "version": "0.23.1", "openapi": "", "owner": [1000, 1000]}

``version`` is the SDK's, which the OpenAPI document carries. ``owner`` says by number whose the project is;
without it it is root's. Besides the fragment, the output has
``openapi_schema.json`` and ``config.json``. Part of :mod:`image`, so that an edit costs one derivation; every
edit waits for what it imports.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archive
from failure import BuildError

from cog_nix import signature
from cog_nix.errors import CogNixError
from cog_nix.project.ignore import Ignore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from configuration import Configuration

_SCHEMA = "src/.cog/openapi_schema.json"
_WEIGHTS = "src/.cog/weights.json"


def entries(root: Path, name: str, config: Configuration, openapi: str) -> Iterator[archive.Entry]:
    """Yield what lands in the image.

    Args:
        root: the project.
        name: the configuration's file in it.
        config: what that says.
        openapi: the document.
    """
    yield from archive.folders("src/.cog")
    for relative in Ignore.load(root).walk():
        path = root / relative
        place = f"src/{relative}"
        if path.is_dir() and not path.is_symlink():
            yield from (entry for entry in archive.folders(place) if entry.path == place)
        elif path.is_symlink() or path.is_file():
            yield archive.normalised(path, place)
    yield archive.Entry("src/cog.yaml", 0o644, source=root / name)
    if openapi:
        yield archive.Entry(_SCHEMA, 0o644, data=openapi.encode())
    if config["weights"]:
        yield archive.Entry(_WEIGHTS, 0o644, data=config["weights"].encode())
    if config["telemetry"]:
        setup, place = config["telemetry"]
        yield from archive.folders(".cog")
        yield archive.Entry(place, 0o644, source=(root / setup).resolve())


def decorated_concurrency(config: Configuration, root: Path, openapi: str) -> int | None:
    """Return what ``@cog.concurrent`` says.

    With a document handed in, source that cannot be read is no error (as upstream has it).
    """
    try:
        return signature.concurrency(root, config["predict"], config["train"])[0]
    except CogNixError:
        if openapi:
            return None
        raise


def with_concurrency(label: str, maximum: int) -> str:
    """Return the configuration's label with what the source says."""
    from cog_nix.config.label import with_concurrency as added  # noqa: PLC0415 - few models say anything

    return added(label, maximum)


def owned(found: Iterable[archive.Entry], owner: list[int]) -> Iterator[archive.Entry]:
    """Give what is below ``/src`` to a user and a group."""
    uid, gid = owner
    for entry in found:
        below = entry.path == "src" or entry.path.startswith("src/")
        yield entry._replace(uid=uid, gid=gid) if below else entry


def build(spec: dict[str, Any], out: Path) -> None:
    """Write the fragment and what was read to ``out``."""
    root = Path(spec["project"])
    config: Configuration = json.loads(Path(spec["configuration"]).read_text())
    entry = (config["predict"], config["train"])
    try:
        openapi = spec["openapi"] or signature.document(root, *entry, spec["version"])
        maximum = config["concurrency_max"] or decorated_concurrency(config, root, spec["openapi"])
    except CogNixError as error:
        raise BuildError(str(error)) from error
    found = entries(root, spec["config"], config, openapi)
    archive.write_fragment(out, owned(found, spec["owner"]) if "owner" in spec else found, "source")
    (out / "openapi_schema.json").write_text(openapi)
    label = with_concurrency(config["label"], maximum) if maximum else config["label"]
    described = {**config, "label": label, "concurrency_max": maximum, "version": spec["version"]}
    (out / "config.json").write_text(json.dumps(described, sort_keys=True))
