"""Put the project under ``/src``, and read from it what the image says about itself.

Spec::

    {"project": store path, "config": "cog.yaml", "version": "0.23.1", "openapi": ""}

``version`` is the SDK's, which the OpenAPI document carries. Besides the fragment, the output has
``openapi_schema.json`` and ``config.json``. Part of :mod:`image`, so that an edit costs one derivation.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import archive

from cog_nix import config as cog_config
from cog_nix import signature
from cog_nix.config import environment, weights_lock
from cog_nix.config.model import Config, Project
from cog_nix.errors import CogNixError
from cog_nix.ignore import Ignore

if TYPE_CHECKING:
    from collections.abc import Iterator


_SCHEMA = "src/.cog/openapi_schema.json"
_WEIGHTS = "src/.cog/weights.json"


def entries(project: Project, config: Config, openapi: str) -> Iterator[archive.Entry]:
    """Yield what lands in the image."""
    yield from archive.folders("src/.cog")
    for relative in Ignore.load(project.root).walk():
        path = project.root / relative
        name = f"src/{relative}"
        if path.is_dir() and not path.is_symlink():
            yield from (entry for entry in archive.folders(name) if entry.path == name)
        elif path.is_symlink() or path.is_file():
            yield archive.normalised(path, name)
    yield archive.Entry("src/cog.yaml", 0o644, source=project.config_path)
    if openapi:
        yield archive.Entry(_SCHEMA, 0o644, data=openapi.encode())
    if config.weights:
        manifest = weights_lock.manifest(weights_lock.read(project.root))
        yield archive.Entry(_WEIGHTS, 0o644, data=manifest.encode())
    if config.tracing_setup:
        yield from archive.folders(".cog")
        name = environment.TRACING_SETUP.removeprefix("/")
        yield archive.Entry(name, 0o644, source=(project.root / config.tracing_setup).resolve())


def decorated_concurrency(config: Config, root: Path, openapi: str) -> int | None:
    """Return what ``@cog.concurrent`` says.

    With a document handed in, source that cannot be read is no error (as upstream has it).
    """
    try:
        return signature.concurrency(root, config.predict, config.train)[0]
    except CogNixError:
        if openapi:
            return None
        raise


def build(spec: dict[str, str], out: Path) -> None:
    """Write the fragment and what was read to ``out``."""
    root = Path(spec["project"])
    project = Project(root=root, config_path=root / spec["config"])
    try:
        text = project.config_path.read_bytes().decode()
        config = cog_config.complete(cog_config.parse(text, spec["config"]), root)
        openapi = spec["openapi"] or signature.document(root, config.predict, config.train, spec["version"])
        maximum = config.concurrency_max or decorated_concurrency(config, root, spec["openapi"])
    except CogNixError as error:
        sys.exit(f"cog-nix: {error}")
    archive.write_fragment(out, entries(project, config, openapi), "source")
    (out / "openapi_schema.json").write_text(openapi)
    described = {
        "label": cog_config.with_concurrency(config.label, maximum) if maximum else config.label,
        "predict": config.predict,
        "train": config.train,
        "concurrency_max": maximum,
        "environment": config.environment,
        "tracing": environment.tracing(config),
        "gpu": config.build.gpu,
        "version": spec["version"],
    }
    (out / "config.json").write_text(json.dumps(described, sort_keys=True))
