"""Applies edits to a runtime configuration (OCI runtime-spec, ``config.json``)."""

from __future__ import annotations

import copy
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.cdi.failures import DeviceFileError
from cog_nix.cdi.model import Mount

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.cdi.model import DeviceNode, Edits, Hook

_OF_DEVICES = ("bind", "nosuid", "noexec")


def apply(config: Mapping[str, Any], edits: Edits, *, rootless: bool = False) -> dict[str, Any]:
    """Return a configuration with edits, as CDI's own library makes it.

    Variables, devices and mounts take the place of those with their name or path; mounts are put in order,
    the outer ones first.

    Args:
        config: ``config.json``.
        edits: what to add.
        rootless: whether only a user namespace's root starts it, who can neither make device files nor join
            groups: the machine's own files are mounted.

    Raises:
        CdiError: a device file is not here.
    """
    edited: dict[str, Any] = copy.deepcopy(dict(config))
    process, linux = edited.setdefault("process", {}), edited.setdefault("linux", {})
    variables = edits.variables
    kept = [line for line in process.get("env", ()) if line.partition("=")[0] not in variables]
    process["env"] = [*kept, *(f"{name}={value}" for name, value in variables.items())]
    user = process.setdefault("user", {})
    if edits.additional_gids and not rootless:
        user["additionalGids"] = [*user.get("additionalGids", ()), *edits.additional_gids]
    added = list(edits.mounts)
    if rootless:
        added += [Mount(node.host_path, node.path, _OF_DEVICES) for node in edits.device_nodes]
    elif edits.device_nodes:
        _add_nodes(linux, edits.device_nodes, user)
    targets = {mount.container_path for mount in added}
    mounts = [one for one in edited.get("mounts", ()) if one["destination"] not in targets]
    mounts += map(_mount, added)
    edited["mounts"] = sorted(mounts, key=lambda one: os.path.normpath(one["destination"]).count("/"))
    for hook in edits.hooks:
        edited.setdefault("hooks", {}).setdefault(hook.name, []).append(_hook(hook))
    return edited


def _add_nodes(linux: dict[str, Any], nodes: Sequence[DeviceNode], user: Mapping[str, Any]) -> None:
    devices = [_node(node, user) for node in nodes]
    paths = {node.path for node in nodes}
    others = [one for one in linux.get("devices", ()) if one["path"] not in paths]
    linux["devices"] = [*others, *devices]
    rules = linux.setdefault("resources", {}).setdefault("devices", [])
    rules += [
        _rule(node, device) for node, device in zip(nodes, devices, strict=True) if device["type"] in "bc"
    ]


def _node(node: DeviceNode, user: Mapping[str, Any]) -> dict[str, Any]:
    kind, major, minor, mode = node.type, node.major, node.minor, node.file_mode
    if not kind or major is None or mode is None:
        try:
            status = Path(node.host_path).stat()
        except OSError as error:
            raise DeviceFileError(node.host_path, str(error.strerror)) from error
        kind = kind or _kind(status.st_mode, node.host_path)
        if major is None:
            major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
        mode = stat.S_IMODE(status.st_mode) if mode is None else mode
    device: dict[str, Any] = {"path": node.path, "type": kind, "fileMode": mode}
    if kind != "p":
        device |= {"major": major, "minor": minor}
    for name, given in (("uid", node.uid), ("gid", node.gid)):
        number = user.get(name) or None if given is None else given
        if number is not None:
            device[name] = number
    return device


def _kind(mode: int, path: str) -> str:
    for test, kind in ((stat.S_ISCHR, "c"), (stat.S_ISBLK, "b"), (stat.S_ISFIFO, "p")):
        if test(mode):
            return kind
    raise DeviceFileError(path, "it is not a device")


def _rule(node: DeviceNode, device: Mapping[str, Any]) -> dict[str, Any]:
    access = "" if node.permissions == "none" else node.permissions
    return {"allow": True, **{key: device[key] for key in ("type", "major", "minor")}, "access": access}


def _mount(mount: Mount) -> dict[str, Any]:
    options = list(mount.options)
    if mount.binds and not {"bind", "rbind"} & set(options):
        options.append("rbind")
    paths = {"destination": mount.container_path, "source": mount.host_path}
    return {**paths, "type": mount.type or "bind", "options": options}


def _hook(hook: Hook) -> dict[str, Any]:
    given = {"path": hook.path, "args": list(hook.args) or None, "env": list(hook.env) or None}
    return {key: value for key, value in {**given, "timeout": hook.timeout}.items() if value is not None}
