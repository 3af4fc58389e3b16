"""One file of a specification folder: text → :class:`cog_nix.cdi.model.Specification`, checked once, here."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.cdi.failures import SpecificationError
from cog_nix.cdi.model import Device, DeviceNode, Edits, Hook, Mount, Specification
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

_GROUPS = ("additionalGIDs", "additionalGids")
"""As SPEC.md and as the tools spell it."""
_SCHEMA = Path(__file__).with_name("schema.json")


def read(path: Path) -> Specification:
    """Read a specification.

    Args:
        path: a file in JSON or YAML (``.json``, ``.yaml``).

    Raises:
        CdiError: it cannot be read or breaks the specification; all that is wrong with it is named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecificationError(path, [f"the device specification cannot be read: {error}"]) from error
    return parse(text, path)


def parse(text: str, path: Path) -> Specification:
    """Return what a specification's text says.

    Args:
        text: JSON or YAML.
        path: where it stands, for messages; its suffix tells the format.

    Raises:
        CdiError: as :func:`read`.
    """
    data = _data(text, path)
    problems = [
        f"{_key(error.absolute_path)}: {error.message}"
        for error in sorted(_validator().iter_errors(data), key=lambda one: list(map(str, one.absolute_path)))
    ]
    if not problems:
        names = Counter(device["name"] for device in data["devices"])
        problems = [f"devices: two are called {name!r}" for name, count in names.items() if count > 1]
    if problems:
        advice = "Write it again with the tool that made it, or remove it."
        raise SpecificationError(path, problems, hint=advice)
    devices = tuple(Device(one["name"], _edits(one["containerEdits"])) for one in data["devices"])
    version = data["cdiVersion"].removeprefix("v")
    return Specification(path, version, data["kind"], devices, _edits(data.get("containerEdits")))


def _data(text: str, path: Path) -> Any:
    if path.suffix == ".json":
        try:
            return jsonvalue.loads(text)
        except ValueError as error:
            raise SpecificationError(path, [f"the device specification is not JSON: {error}"]) from error
    import yaml  # noqa: PLC0415 - only where there are devices

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no number, no date
        raise SpecificationError(path, [f"the device specification is not YAML: {error}"]) from error


@cache
def _validator() -> Draft202012Validator:
    import jsonschema  # noqa: PLC0415 - costs 0.1 s, and most containers have no devices

    return jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text(encoding="utf-8")))


def _key(path: Any) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "the file"


def _edits(data: dict[str, Any] | None) -> Edits:
    data = data or {}
    return Edits(
        env=tuple(data.get("env") or ()),
        device_nodes=tuple(map(_node, data.get("deviceNodes") or ())),
        mounts=tuple(map(_mount, data.get("mounts") or ())),
        hooks=tuple(map(_hook, data.get("hooks") or ())),
        # The main process has group 0 anyway, or is not to have it.
        additional_gids=tuple(gid for name in _GROUPS for gid in data.get(name) or () if gid),
    )


def _node(data: dict[str, Any]) -> DeviceNode:
    return DeviceNode(
        path=data["path"],
        host_path=data.get("hostPath") or data["path"],
        type=data.get("type") or "",
        # Tools leave a 0 out: no driver has the major number 0, and every one a minor 0.
        major=data.get("major") or None,
        minor=(data.get("minor") or 0) if data.get("major") else None,
        file_mode=data.get("fileMode"),
        permissions=data.get("permissions") or "rwm",
        uid=data.get("uid"),
        gid=data.get("gid"),
    )


def _mount(data: dict[str, Any]) -> Mount:
    options = tuple(data.get("options") or ())
    return Mount(data["hostPath"], data["containerPath"], options, data.get("type") or "")


def _hook(data: dict[str, Any]) -> Hook:
    args = tuple(data.get("args") or ())
    return Hook(data["hookName"], data["path"], args, tuple(data.get("env") or ()), data.get("timeout"))
