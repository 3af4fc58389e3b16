"""Assemble the image's configuration and the executable that streams it.

Spec::

    {"name": "cog-hello", "tag": "cog-hello:latest",
     "layers": [{"name": …, "path": …} or {"name": …, "diff_id": …, "size": …}],
     "distributions": [store path, …], "results": [store path, …],
     "project": spec of :mod:`source`, "seed": store path,
     "python": "3.13", "labels": {…}, "lock": {…}}

The layer whose path is null is the project itself, which is the output ``source``. One that has a digest and
no path is held by a registry and not here; ``frozen`` then says what ``pip freeze`` prints.

The output ``out`` is an executable shell script that runs :mod:`stream` on itself through the seed: behind
the script stands the image's description (:class:`stream.Image`) as JSON. The script finds the store beside
itself, so it works from any store folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import distributions
import inputs
import source
import stream
from failure import BuildError
from target import BUILDER, TARGET

from cog_nix.project.ignore import IMAGE_PROGRAM

EPOCH = "1970-01-01T00:00:00Z"
_REPLACEABLE = {
    "Cmd",
    "Entrypoint",
    "ExposedPorts",
    "Healthcheck",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
}
"""image-spec, config.md, "Properties"; and Docker's own Healthcheck."""
_NOT_FROZEN = {"pip"}
_NOT_FROZEN_BEFORE_3_12 = {"pip", "setuptools", "distribute", "wheel"}


def freeze(installed: list[dict[str, str]], python: str) -> str:
    """Return what ``pip freeze`` prints in the image (its order, its exceptions), newline at the end."""
    hidden = _NOT_FROZEN_BEFORE_3_12 if tuple(map(int, python.split("."))) < (3, 12) else _NOT_FROZEN
    shown = [one for one in installed if one["name"].lower() not in hidden]
    lines = [
        f"{one['name']} @ {one['origin']}" if "origin" in one else f"{one['name']}=={one['version']}"
        for one in sorted(shown, key=lambda one: one["name"].lower())
    ]
    return "".join(f"{line}\n" for line in lines)


def environment(described: dict[str, Any], extra: list[list[str]]) -> list[str]:
    """Return the image's Env (OCI image configuration), later settings of a name replacing earlier ones."""
    values = dict(described["image"])
    if described["gpu"]:
        values["NVIDIA_VISIBLE_DEVICES"] = "all"
    values.update(dict(extra))
    values.update(dict(described["environment"]))
    if described["predict"]:
        values["COG_PREDICT_TYPE_STUB"] = described["predict"]
    if described["train"]:
        values["COG_TRAIN_TYPE_STUB"] = described["train"]
    if described["concurrency_max"]:
        values["COG_MAX_CONCURRENCY"] = str(described["concurrency_max"])
    values.update(dict(described["tracing"]))
    return [f"{name}={value}" for name, value in values.items()]


def labels(described: dict[str, Any], openapi: str, frozen: str, spec: dict[str, Any]) -> dict[str, str]:
    """Return the image's Labels."""
    lock = spec["lock"]
    return {
        **dict(lock["labels"]),
        "run.cog.nix.lock": lock["digest"],
        "run.cog.nix.snapshot": lock["snapshot"],
        "run.cog.nix.suite": lock["suite"],
        "run.cog.version": described["version"],
        "run.cog.config": described["label"],
        "run.cog.openapi_schema": openapi,
        "run.cog.pip_freeze": frozen,
        "run.cog.has_init": "true",
        **spec["labels"],  # last: annotations replace what they name, as upstream has it
    }


def replaced(config: dict[str, Any]) -> dict[str, Any]:
    """Return what an overlay says of the image's configuration.

    Ends the build when it is no key of the OCI image configuration, or one that has a better place.
    """
    for key in config.keys() - _REPLACEABLE:
        better = {"Env": "environment", "Labels": "labels"}.get(key)
        known = f"use {better}" if better else f"known are {', '.join(sorted(_REPLACEABLE))}"
        raise BuildError(f"cog-nix.nix sets config.{key}; {known}")
    return config


def configuration(spec: dict[str, Any], layers: list[stream.Layer]) -> dict[str, Any]:
    """Return the OCI image configuration (image-spec, config.md)."""
    described, openapi = read_project(spec["source"])
    frozen = spec["frozen"] if "frozen" in spec else frozen_of(spec)
    return {
        "architecture": TARGET.architecture,
        "os": "linux",
        "created": EPOCH,
        "config": {
            "Env": environment(described, spec["lock"]["environment"]),
            "Entrypoint": ["/sbin/tini", "--"],
            "Cmd": ["python", "-m", "cog.server.http"],
            "WorkingDir": "/src",
            "ExposedPorts": {"5000/tcp": {}},
            **replaced(spec["config"]),
            "Labels": labels(described, openapi, frozen, spec),
        },
        "rootfs": {"type": "layers", "diff_ids": [layer["diff_id"] for layer in layers]},
        "history": [{"created": EPOCH, "created_by": f"cog-nix: {layer['name']}"} for layer in layers],
    }


def frozen_of(spec: dict[str, Any]) -> str:
    """Return what ``pip freeze`` prints in the image, from what is in it."""
    locked = [json.loads((Path(path) / "distribution.json").read_text()) for path in spec["distributions"]]
    found = distributions.after(locked, [Path(path) for path in spec["results"]])
    return freeze(found, spec["imagePython"])


def read_project(folder: Path) -> tuple[dict[str, Any], str]:
    """Return what :mod:`source` found out: the configuration, and the OpenAPI document."""
    described: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return described, (folder / "openapi_schema.json").read_text()


def read_layer(layer: dict[str, Any], source: Path, known_as: Path | None = None) -> stream.Layer:
    """Return a layer's description, from the store unless it is told.

    Args:
        layer: as the spec has it.
        source: the layer of the project.
        known_as: the layer's path in the store, where that is another one.
    """
    if "diff_id" in layer:
        return {"name": layer["name"], "diff_id": layer["diff_id"], "size": layer["size"], "parts": []}
    path = Path(layer["path"] or source)
    found = json.loads((path / "fragment.json").read_text())
    parts = [_absolute(part, known_as or path) for part in found["parts"]]
    return {"name": layer["name"], "diff_id": found["diff_id"], "size": found["size"], "parts": parts}


def _absolute(part: stream.Part | stream.Files, path: Path) -> stream.Part | stream.Files:
    """Complete a path that was written before the store had its folder (cog_nix/image/file_layers.py)."""
    if "files" in part:
        return {"files": str(path), "size": part["size"]}
    return {**part, "path": str(path / part["path"])}


_SCRIPT = (
    f"{IMAGE_PROGRAM.decode()}{{name}}"
    """\
 as a Docker archive to stdout: ./result | docker load
self=$(readlink -f -- "$0")
store=${{self%/*}}
case $0 in */*) beside=${{0%/*}} ;; *) beside=. ;; esac
exec "$store/{seed}/{loader}" --library-path "$store/{seed}/usr/lib/{triplet}" \\
  "$store/{seed}/usr/bin/python{python}" -I -B "$store/{stream}" "$self" --beside "$beside" "$@"
"""
)


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    spec["source"] = inputs.output("source")
    source.build(spec["project"], spec["source"])
    layers = [read_layer(layer, spec["source"]) for layer in spec["layers"]]
    config = json.dumps(
        configuration(spec, layers), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    image: stream.Image = {"config": config, "layers": layers, "tag": spec["tag"]}
    start = _SCRIPT.format(
        name=spec["name"],
        seed=Path(spec["seed"]).name,
        loader=BUILDER.loader,
        triplet=BUILDER.triplet,
        python=spec["python"],
        stream=f"{Path(__file__).parent.name}/stream.py",
    )
    script = inputs.output()
    if any("diff_id" in layer for layer in spec["layers"]):
        start = "This image's layers are in a registry; it cannot be written from here.\n"
    script.write_text(start + stream.MARK + json.dumps(image, indent=1, sort_keys=True))
    script.chmod(0o755)
