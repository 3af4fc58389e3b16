"""What a lock depends on: a digest that tells whether a lock still fits its project.

Only what is resolved counts. Editing ``predict``, ``environment`` or the source leaves a lock fresh.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from cog_nix.config.environment import TRACING_REQUIREMENTS
from cog_nix.lock.format import VERSION

if TYPE_CHECKING:
    from cog_nix.config.model import Config, Settings


def digest(config: Config, settings: Settings) -> str:
    """Return ``sha256:…`` over everything that resolving reads."""
    build = config.build
    question = {
        "version": VERSION,
        "python_version": build.python_version,
        "requirements": build.requirements,
        "pre_install": build.pre_install,
        "run": [asdict(command) for command in build.run],
        "system_packages": sorted(build.system_packages),
        "sdk_version": build.sdk_version,
        "gpu": build.gpu,
        "cuda": build.cuda,
        "cudnn": build.cudnn,
        "suite": settings.debian.suite,
        "packages": settings.nix.packages,
        "exclude_newer": settings.python.exclude_newer,
        "layers": asdict(settings.layers),
        **({"tracing": TRACING_REQUIREMENTS} if config.tracing else {}),
    }
    text = json.dumps(question, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
