"""The value of the label ``run.cog.config``: the completed configuration exactly as upstream serialises it.

Replicate and other tools read the label, so its keys, their order and what is left out are upstream's: the
field order of its Go structs, ``omitempty``, and the escapes of Go's ``encoding/json``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUILD = (
    "gpu",
    "python_version",
    "python_requirements",
    "python_packages",
    "run",
    "system_packages",
    "pre_install",
    "cuda",
    "cudnn",
    "sdk_version",
)
_TRACES = ("enabled", "sampler", "sampler_arg", "trace_header", "trace_header_format")
_TRACE_DEFAULTS = {"enabled": False, "sampler": "parentbased_always_off", "trace_header_format": "w3c"}

ESCAPED = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
"""Go escapes these so that JSON can stand in HTML and in JavaScript."""


def label(data: Mapping[str, Any], *, cuda: str | None, cudnn: str | None) -> str:
    """Serialise a configuration.

    Args:
        data: of a valid document.
        cuda: as completed.
        cudnn: likewise.
    """
    build = {**data.get("build", {}), "cuda": cuda, "cudnn": cudnn}
    build["run"] = [_command(entry) for entry in build.get("run", ())]
    concurrency = data.get("concurrency")
    result: dict[str, Any] = {
        "build": _present(build, _BUILD),
        **_present(data, ("image", "model")),
        **_present({"predict": data.get("run") or data.get("predict")}, ("predict",)),
        **_present(data, ("train",)),
    }
    if concurrency is not None:
        result["concurrency"] = _present(concurrency, ("max",))
    if data.get("observability") is not None:
        result["observability"] = _observability(data["observability"])
    result |= _present(data, ("environment",))
    if data.get("weights"):
        result["weights"] = [_weight(weight) for weight in data["weights"]]
    return dump(result)


def with_concurrency(config_label: str, maximum: int) -> str:
    """Return a label with the concurrency of the predictor's decorator, unless cog.yaml has its own.

    Args:
        config_label: what :func:`label` made.
        maximum: of ``@cog.concurrent(max=…)``.
    """
    data: dict[str, Any] = json.loads(config_label)
    if "concurrency" in data:
        return config_label
    before = {key: data.pop(key) for key in ("build", "image", "model", "predict", "train") if key in data}
    return dump({**before, "concurrency": {"max": maximum}, **data})


def dump(value: Any) -> str:
    """Write JSON as Go's ``json.Marshal`` does."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(ESCAPED)


def _present(data: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return these keys in this order, without empty values (Go's ``omitempty``)."""
    return {key: data[key] for key in keys if data.get(key)}


def _command(entry: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(entry, str):
        return _present({"command": entry}, ("command",))
    mounts = [_present(mount, ("type", "id", "target")) for mount in entry.get("mounts", ())]
    return _present({"command": entry["command"], "mounts": mounts}, ("command", "mounts"))


def _observability(data: dict[str, Any]) -> dict[str, Any]:
    result = _present(data, ("config",))
    if data.get("traces") is not None:
        traces = {**_TRACE_DEFAULTS, **data["traces"]}
        result["traces"] = {"enabled": traces["enabled"], **_present(traces, _TRACES[1:])}
    return result


def _weight(data: dict[str, Any]) -> dict[str, Any]:
    source = data["source"]
    sources = [
        _present(one, ("uri", "include", "exclude"))
        for one in (source if isinstance(source, list) else [source])
    ]
    return {
        "name": data["name"],
        "target": data["target"],
        "source": sources[0] if len(sources) == 1 else sources,
    }
