"""What a lock depends on: a digest that tells whether a lock still fits its project.

Only what is resolved counts. Editing ``predict``, ``environment`` or the source leaves a lock fresh.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from cog_nix.config.environment import TRACING_REQUIREMENTS
from cog_nix.resolve import sdk
from cog_nix.system.digests import digest_of
from cog_nix.system.platforms import AMD64

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cog_nix.config.model import Config, Settings
    from cog_nix.system.platforms import Platform

_VERSION = 2
"""Of the question, not of the lock's format."""
_FILE = re.compile(r"(?:(?:-r|-c|--requirement|--constraint)[\s=]*)?(?P<path>[^-\s][^;]*?)\s*(?:;|$)")


def digest(
    config: Config,
    settings: Settings,
    root: Path | None = None,
    base_image: Sequence[str] = (),
    platform: Platform = AMD64,
) -> str:
    """Return ``sha256:…`` over everything that resolving reads.

    Args:
        config: cog.yaml.
        settings: cog-nix.toml.
        root: the project, whose files may be requirements; None: they are not looked at.
        base_image: the packages of Cog's base image, where they come.
        platform: what the image is for.
    """
    build = config.build
    question = {
        "version": _VERSION,
        "python_version": build.python_version,
        "requirements": build.requirements,
        "pre_install": build.pre_install,
        "run": [asdict(command) for command in build.run],
        "system_packages": sorted(build.system_packages),
        "sdk_version": build.sdk_version,
        "gpu": build.gpu,
        "cuda": build.cuda,
        "cudnn": build.cudnn,
        "suite": settings.system.suite,
        "packages": settings.nix.packages,
        "exclude_newer": settings.python.exclude_newer,
        **_named(settings),
        **_files(build.requirements, root),
        **sdk.overrides(root, platform=platform),
        "layers": asdict(settings.layers),
        **({"cog_base": base_image} if base_image else {}),
        **({"cuda_named": build.cuda_named} if build.cuda_named else {}),
        **({"tracing": TRACING_REQUIREMENTS} if config.tracing else {}),
    }
    # What most projects have none of is left out above: it must not make every lock stale when it comes.
    text = json.dumps(question, sort_keys=True)
    return digest_of(text.encode())


def files(requirements: Sequence[str]) -> set[str]:
    """Return what may be files of the project among requirement lines, whether or not they are there."""
    return {named["path"] for line in requirements if (named := _FILE.match(line))}


def _named(settings: Settings) -> dict[str, object]:
    python = settings.python
    named: dict[str, object] = {
        "no_build_isolation": sorted(python.no_build_isolation),
        "build_requires": python.build_requires,
        "extras": sorted(python.extras),
        "groups": None if python.groups is None else [sorted(python.groups)],
        "toolkit": None if settings.gpu.toolkit is None else [settings.gpu.toolkit],
        "no_compiler": not settings.gpu.compiler,
        "legacy": python.legacy,
        "no_programs": not settings.system.programs,
        "ignore_programs": sorted(settings.system.ignore_programs),
    }
    return {name: value for name, value in named.items() if value}


def _files(requirements: Sequence[str], root: Path | None) -> dict[str, object]:
    """Return the hashes of the project's files that are requirements or hold some."""
    found = {}
    for line in requirements:
        named = _FILE.match(line)
        path = root / named["path"] if root and named else None
        if path and path.is_file():
            with path.open("rb") as stream:
                found[line] = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"files": found} if found else {}
