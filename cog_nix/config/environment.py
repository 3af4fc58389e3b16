"""``environment:`` of cog.yaml: names that are taken, and how a line is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix.config.dockerenv import ExpansionError, expand
from cog_nix.system.platforms import AMD64

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cog_nix.config.model import Config

_LIBRARIES = "/usr/lib/{triplet}:/usr/local/nvidia/lib64:/usr/local/nvidia/bin"
IMAGE = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
    "PYTHONUNBUFFERED": "1",
    "LD_LIBRARY_PATH": _LIBRARIES.format(triplet=AMD64.triplet),
    "NVIDIA_DRIVER_CAPABILITIES": "all",
}
"""What every image for linux/amd64 has."""


def image(triplet: str) -> dict[str, str]:
    """Return what every image of a platform has.

    Args:
        triplet: of its libraries' folder (multiarch).
    """
    return {**IMAGE, "LD_LIBRARY_PATH": _LIBRARIES.format(triplet=triplet)}


TRACING_SETUP = "/.cog/telemetry.py"
"""Where the image has the file that ``observability.config`` names."""

TRACING_REQUIREMENTS = (
    "opentelemetry-exporter-otlp-proto-http==1.44.0",
    "opentelemetry-exporter-otlp-proto-grpc==1.44.0",
)
"""What the server imports when it traces: the versions that upstream installs (docs of Cog 0.23.1)."""

RESERVED = (
    *("PATH", "LD_LIBRARY_PATH", "LIBRARY_PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "VIRTUAL_ENV"),
    *("R8_*", "REPLICATE_*", "KUBERNETES_*", "COG_OBSERVABILITY_*", "COG_TRACE_*", "OTEL_*"),
    *("CUDA_*", "NVIDIA_*", "NV_*", "PGET_*", "HF_ENDPOINT", "HF_HUB_ENABLE_HF_TRANSFER"),
)
"""Names that an image or the platform it runs on sets itself; upstream refuses the same."""


def reserved(name: str) -> bool:
    """Return whether a variable is not the project's to set."""
    return any(name.startswith(known[:-1]) if known.endswith("*") else name == known for known in RESERVED)


def parse(lines: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return names and values of valid lines as Docker makes them of upstream's Dockerfile, by name."""
    pairs = [(name, value) for name, _, value in (line.partition("=") for line in lines)]
    return tuple(expand(pairs, IMAGE).items())


def tracing(config: Config) -> tuple[tuple[str, str], ...]:
    """Return the variables by which the image's server knows what to trace; none when tracing is off.

    Args:
        config: completed; the values are upstream's, its defaults among them.
    """
    traces = config.tracing
    if traces is None:
        return ()
    variables = {
        "COG_TRACE_CONFIGURED": "true",
        "COG_TRACE_ENABLED": "true",
        "COG_TRACE_SAMPLER": traces.sampler,
        "COG_TRACE_SAMPLER_ARG": traces.sampler_arg,
        "COG_TRACE_HEADER": traces.trace_header,
        "COG_TRACE_HEADER_FORMAT": traces.trace_header_format if traces.trace_header else None,
        "COG_OBSERVABILITY_CONFIG": TRACING_SETUP if config.tracing_setup else None,
    }
    return tuple((name, value) for name, value in variables.items() if value)


def problems(lines: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Yield position, what is wrong and what to do, for each line that cannot be a variable of the image."""
    seen: set[str] = set()
    for position, line in enumerate(lines):
        name, equals, value = line.partition("=")
        if not equals or not name:
            what = f'environment variable "{line}" is not in the KEY=VALUE format'
            yield position, what, "Write: NAME=value"
        elif found := _problem(name, value, seen):
            yield position, f'environment variable "{name}"{found[0]}', found[1]
        seen.add(name)


def _problem(name: str, value: str, seen: set[str]) -> tuple[str, str] | None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return (
            " has a name that shells cannot use",
            "Use letters, digits and _, and begin with a letter or _.",
        )
    if "\n" in value:
        return " has a line break in it", "Write the value in one line."
    if reserved(name):
        return " is not allowed: reserved for internal use", "Remove it; the image sets what is needed."
    try:
        expand([(name, value)], IMAGE)
    except ExpansionError as error:
        return f": {error}", f"In quotes any value will do: {name}='…'"
    return (" is already defined", "Keep one of the two lines.") if name in seen else None
