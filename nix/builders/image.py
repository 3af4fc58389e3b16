"""Assemble the image's configuration and the executable that streams it.

Spec::

    {"name": "cog-hello", "tag": "cog-hello:latest", "layers": [{"name": …, "path": …}],
     "distributions": [store path, …], "project": spec of :mod:`source`, "seed": store path,
     "python": "3.13", "labels": {…}, "lock": {…}}

The layer without a path is the project itself, which is the output ``source``. The output ``out`` is an
executable shell script that runs :mod:`stream` on itself through the seed: behind the script stands the
image's description (:class:`stream.Image`) as JSON. The script finds the store beside itself, so it works
from any store folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import inputs
import source
import stream

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIBRARIES = "/usr/lib/x86_64-linux-gnu:/usr/local/nvidia/lib64:/usr/local/nvidia/bin"
EPOCH = "1970-01-01T00:00:00Z"
_NOT_FROZEN = {"pip"}
_NOT_FROZEN_BEFORE_3_12 = {"pip", "setuptools", "distribute", "wheel"}


def freeze(distributions: list[dict[str, str]], python: str) -> str:
    """Return what ``pip freeze`` prints in the image (its order, its exceptions), newline at the end."""
    hidden = _NOT_FROZEN_BEFORE_3_12 if tuple(map(int, python.split("."))) < (3, 12) else _NOT_FROZEN
    shown = [one for one in distributions if one["name"].lower() not in hidden]
    lines = [
        f"{one['name']} @ {one['origin']}" if "origin" in one else f"{one['name']}=={one['version']}"
        for one in sorted(shown, key=lambda one: one["name"].lower())
    ]
    return "".join(f"{line}\n" for line in lines)


def environment(described: dict[str, Any], extra: list[list[str]]) -> list[str]:
    """Return the image's Env (OCI image configuration), later settings of a name replacing earlier ones."""
    values = {
        "PATH": PATH,
        "DEBIAN_FRONTEND": "noninteractive",
        "PYTHONUNBUFFERED": "1",
        "LD_LIBRARY_PATH": LIBRARIES,
        "NVIDIA_DRIVER_CAPABILITIES": "all",
    }
    if described["gpu"]:
        values["NVIDIA_VISIBLE_DEVICES"] = "all"
    values.update(dict(extra))
    if described["predict"]:
        values["COG_PREDICT_TYPE_STUB"] = described["predict"]
    if described["train"]:
        values["COG_TRAIN_TYPE_STUB"] = described["train"]
    if described["concurrency_max"]:
        values["COG_MAX_CONCURRENCY"] = str(described["concurrency_max"])
    values.update(dict(described["environment"]))
    return [f"{name}={value}" for name, value in values.items()]


def labels(described: dict[str, Any], openapi: str, frozen: str, spec: dict[str, Any]) -> dict[str, str]:
    """Return the image's Labels."""
    lock = spec["lock"]
    return {
        **dict(lock["labels"]),
        "run.cog.nix.lock": lock["inputs"],
        "run.cog.nix.suite": lock["suite"],
        **spec["labels"],
        "run.cog.version": described["version"],
        "run.cog.config": described["label"],
        "run.cog.openapi_schema": openapi,
        "run.cog.pip_freeze": frozen,
        "run.cog.has_init": "true",
    }


def configuration(spec: dict[str, Any], layers: list[stream.Layer]) -> dict[str, Any]:
    """Return the OCI image configuration (image-spec, config.md)."""
    described, openapi = read_project(spec["source"])
    distributions = [
        json.loads((Path(path) / "distribution.json").read_text()) for path in spec["distributions"]
    ]
    frozen = freeze(distributions, spec["imagePython"])
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": EPOCH,
        "config": {
            "Env": environment(described, spec["lock"]["environment"]),
            "Entrypoint": ["/sbin/tini", "--"],
            "Cmd": ["python", "-m", "cog.server.http"],
            "WorkingDir": "/src",
            "ExposedPorts": {"5000/tcp": {}},
            "Labels": labels(described, openapi, frozen, spec),
        },
        "rootfs": {"type": "layers", "diff_ids": [layer["diff_id"] for layer in layers]},
        "history": [{"created": EPOCH, "created_by": f"cog-nix: {layer['name']}"} for layer in layers],
    }


def read_project(folder: Path) -> tuple[dict[str, Any], str]:
    """Return what :mod:`source` found out: the configuration, and the OpenAPI document."""
    described: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return described, (folder / "openapi_schema.json").read_text()


def read_layer(name: str, path: Path) -> stream.Layer:
    """Read a layer's description."""
    found = json.loads((path / "fragment.json").read_text())
    return {"name": name, "diff_id": found["diff_id"], "size": found["size"], "parts": found["parts"]}


_SCRIPT = """\
#!/bin/sh
# Writes the image {name} as a Docker archive to stdout: ./result | docker load
self=$(readlink -f -- "$0")
store=${{self%/*}}
exec "$store/{seed}/lib64/ld-linux-x86-64.so.2" --library-path "$store/{seed}/usr/lib/x86_64-linux-gnu" \\
  "$store/{seed}/usr/bin/python{python}" -I -B "$store/{stream}" "$self" "$@"
"""


def main() -> None:
    """Build the output."""
    spec = inputs.read()
    spec["source"] = inputs.output("source")
    source.build(spec["project"], spec["source"])
    layers = [read_layer(layer["name"], Path(layer["path"] or spec["source"])) for layer in spec["layers"]]
    config = json.dumps(
        configuration(spec, layers), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    image: stream.Image = {"config": config, "layers": layers, "tag": spec["tag"]}
    start = _SCRIPT.format(
        name=spec["name"],
        seed=Path(spec["seed"]).name,
        python=spec["python"],
        stream=f"{Path(__file__).parent.name}/stream.py",
    )
    script = inputs.output()
    script.write_text(start + stream.MARK + json.dumps(image, indent=1, sort_keys=True))
    script.chmod(0o755)


if __name__ == "__main__":
    main()
