"""The Python that uv builds with: one that runs what a source brings in a sandbox, and nothing of it outside.

uv has to run a source's build backend (PEP 517) where its metadata are not written down. It makes a virtual
environment of the Python that it is told of, and links to it. :func:`python` makes a program that can be
told: asked by uv who it is, it answers as this Python does; everything else it runs (``uv_python.py``)
without the network, without this user's files and variables, and without rights
(``cog_nix/namespaces/sandbox.py``, ``nix/builders/namespace.py``).
"""

from __future__ import annotations

import json
import shlex
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.namespaces import sandbox
from cog_nix.namespaces.host import python_paths
from cog_nix.store.library import nix_library
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

UNCONFINED = "COG_NIX_UNCONFINED_METADATA"
"""Set to ``1`` it lets builds for metadata run as this user, with all that the user may do. A project must
not be able to ask for that, so it is no setting of ``cog-nix.toml``."""


def python(cache_dir: Path, environ: Mapping[str, str]) -> str:
    """Return the path of the Python for uv to build with.

    Args:
        cache_dir: where it is kept, since uv remembers what it was told by a Python.
        environ: the environment of this process.
    """
    if environ.get(UNCONFINED) == "1":
        return sys.executable
    here = Path(__file__).parent
    base = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
    told = {
        "python": base,
        "shown": python_paths(),
        "sandbox": sandbox.__file__,
        "builders": str(nix_library() / "builders"),
        "call": str(here / "backend_call.py"),
    }
    command = shlex.join([base, "-I", str(here / "uv_python.py"), json.dumps(told)])
    text = f'#!/bin/sh\nexec {command} "$0" "$@"\n'.encode()
    program = cache_dir / "backends" / sha256(text).hexdigest()[:32] / "python"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(program, text, mode=0o755)
    return str(program)
