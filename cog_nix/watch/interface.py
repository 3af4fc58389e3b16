"""A model's interface while its source is edited: read anew, and how it differs from what was served."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cog_nix.build.interface import read_api
from cog_nix.config import load_config
from cog_nix.lock import format as lock_format
from cog_nix.resolve.ensure import sdk_version
from cog_nix.runtime.schema import ApiSchema, UnusableSchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.config.model import Project
    from cog_nix.runtime.schema import Schema


def read_document(project: Project, openapi: Path | None = None) -> str:
    """Return the OpenAPI document that the source describes now.

    Args:
        project: whose.
        openapi: the user's own document.

    Raises:
        SignatureError: the source cannot be described.
        CogNixError: the configuration or the lock cannot be read.
    """
    lock = lock_format.read(project.lock_path, project.platform)
    return read_api(project, load_config(project), openapi).document(sdk_version(lock) if lock else "")


def differences(before: str, now: str) -> list[str]:
    """Return how a model's interface differs from an earlier one, one line for each input or output.

    Args:
        before: an OpenAPI document.
        now: another one.

    Raises:
        UnusableSchemaError: one of them is none.
    """
    old, new = ApiSchema.parse(before), ApiSchema.parse(now)
    found: list[str] = []
    for train in (False, True) if any(map(_trains, (old, new))) else (False,):
        kind = "training " if train else ""
        inputs = [_inputs(one, train=train) for one in (old, new)]
        found += (f"{kind}{line}" for line in _differences(*inputs))
        outputs = [_output(one, train=train) for one in (old, new)]
        if outputs[0] != outputs[1]:
            found.append(f"{kind}output changed")
    return found


def _trains(schema: ApiSchema) -> bool:
    """Tell whether a model can be trained; the paths of one that cannot are in its document as well."""
    return "TrainingInput" in schema.document.get("components", {}).get("schemas", {})


def _output(schema: ApiSchema, *, train: bool) -> Schema | None:
    with suppress(UnusableSchemaError):  # what cannot be done has no output
        return schema.output(train=train)
    return None


def _inputs(schema: ApiSchema, *, train: bool) -> dict[str, tuple[Schema, bool]]:
    if not schema.has_inputs(train=train):
        return {}
    component = schema.input_component(train=train)
    properties: dict[str, Any] = component.get("properties", {})
    required = component.get("required", ())
    # Where it stands among the others (x-order) is no difference to who asks.
    without = {name: {key: one[key] for key in one if key != "x-order"} for name, one in properties.items()}
    return {name: (one, name in required) for name, one in without.items()}


def _differences(old: dict[str, tuple[Schema, bool]], new: dict[str, tuple[Schema, bool]]) -> Iterator[str]:
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old:
            yield f"input {name} added"
        elif name not in new:
            yield f"input {name} removed"
        elif old[name] != new[name]:
            yield f"input {name} changed"
