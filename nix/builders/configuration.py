"""Read from a project's configuration what an image says about itself: a JSON file.

Spec::

    {"project": store path of the files that it is read from, "config": "cog.yaml"}

It is apart from :mod:`image`, which is made at every edit of the model's source: what reads YAML takes as
long to import as all else that an edit needs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypedDict

import inputs
from failure import BuildError
from target import TARGET

from cog_nix import config as cog_config
from cog_nix.config import environment
from cog_nix.errors import CogNixError
from cog_nix.weights import lock as weights_lock


class Configuration(TypedDict):
    """What is known before the model's source is read."""

    label: str
    """The label ``run.cog.config``, without what the source says of concurrency."""
    predict: str | None
    train: str | None
    concurrency_max: int | None
    gpu: bool
    image: list[tuple[str, str]]
    """Variables that every image has."""
    environment: list[tuple[str, str]]
    """Those of cog.yaml."""
    tracing: list[tuple[str, str]]
    """Those that say what to trace."""
    telemetry: tuple[str, str] | None
    """A file of the project, and its path in the image: it sets tracing up."""
    weights: str | None
    """The manifest of managed weights."""


def read(root: Path, name: str) -> Configuration:
    """Return what a configuration says.

    Args:
        root: the project, or as much of it as configuration is read from.
        name: the configuration's file in it.

    Raises:
        CogNixError: it is wrong, or a file that it names is.
    """
    config = cog_config.complete(cog_config.parse((root / name).read_bytes().decode(), name), root)
    setup = config.tracing_setup
    return {
        "label": config.label,
        "predict": config.predict,
        "train": config.train,
        "concurrency_max": config.concurrency_max,
        "gpu": config.build.gpu,
        "image": list(environment.image(TARGET.triplet).items()),
        "environment": list(config.environment),
        "tracing": list(environment.tracing(config)),
        "telemetry": (setup, environment.TRACING_SETUP.removeprefix("/")) if setup else None,
        "weights": weights_lock.manifest(weights_lock.read(root)) if config.weights else None,
    }


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    try:
        found = read(Path(spec["project"]), spec["config"])
    except CogNixError as error:
        raise BuildError(str(error)) from error
    inputs.output().write_text(json.dumps(found, sort_keys=True))
