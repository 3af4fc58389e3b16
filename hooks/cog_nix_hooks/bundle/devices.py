"""Devices for a container: what its engine reads gets them added, and what no engine does is done before."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.cdi import place
from cog_nix.cdi.find import find_devices
from cog_nix.cdi.model import Edits, Placement
from cog_nix.cdi.oci import apply
from cog_nix.namespaces import mounts_as_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NOTHING = Edits()


def find(gpus: str | None, engine: str) -> Edits:
    """Return what a container needs for the GPUs that are asked for.

    Raises:
        MissingDeviceDriverError: there is no driver or no GPU here.
        RuntimeFailure: they are not what is here.
    """
    return find_devices(gpus, runs_hooks=not _is_bubblewrap(engine)) if gpus else _NOTHING


def equipped(engine: str, folder: Path, devices: Edits, command: Sequence[str]) -> list[str]:
    """Add devices to a container that is prepared; return the command that runs it.

    Args:
        engine: path of what runs it.
        folder: of the container, with what :func:`cog_nix_hooks.bundle.engines.prepare` wrote.
        devices: what it gets.
        command: what ran it so far.
    """
    if devices == _NOTHING:
        return list(command)
    if _is_bubblewrap(engine):
        with (folder / "arguments").open("ab") as stream:
            for word in _bubblewrap(devices):
                stream.write(os.fsencode(word) + b"\0")
    else:
        path = folder / "config.json"
        config = apply(json.loads(path.read_text()), devices, rootless=not mounts_as_root())
        path.write_text(json.dumps(config))
    if devices.placement == Placement():
        return list(command)
    placement = folder / "placement.json"
    placement.write_text(place.dump(devices.placement))
    return [*place.command(Path("rootfs"), placement), *command]


def _is_bubblewrap(engine: str) -> bool:
    return Path(engine).name == "bwrap"


def _bubblewrap(devices: Edits) -> Iterator[str]:
    for node in devices.device_nodes:
        yield from ("--dev-bind", node.host_path, node.path)
    for mount in sorted(devices.mounts, key=lambda one: one.container_path.count("/")):
        if mount.binds:
            yield from ("--ro-bind" if mount.read_only else "--bind", mount.host_path, mount.container_path)
        else:
            yield from (f"--{mount.type}", mount.container_path)
    for name, value in devices.variables.items():
        yield from ("--setenv", name, value)
