"""What ``cog-nix doctor`` finds out about Python packages: does an index answer, as uv is configured here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cog_nix.errors import CogNixError
from cog_nix.plugins.spec import Finding
from cog_nix.system import scratch
from cog_nix_hooks.pypi import uv
from cog_nix_hooks.pypi.explain import explain
from cog_nix_hooks.pypi.indexes import uv_environment
from cog_nix_hooks.pypi.lines import parse

_CHECK = "Python index"
_PACKAGE = "cog"
"""What every image has, so an index that lacks it is of no use."""
_PYTHON, _GLIBC = "3.13", "2.41"
_PATIENCE = "10"
"""Seconds for one answer; uv asks again a few times."""
_REMEDY = "Name an index that can be reached in UV_DEFAULT_INDEX or pip's configuration."


def diagnose() -> Finding:
    """Ask for the newest SDK, past uv's cache."""
    try:
        lines = parse((_PACKAGE,), "cog-nix doctor", os.environ)
        env = {"UV_HTTP_TIMEOUT": _PATIENCE, **uv_environment(lines, os.environ)}
        question = uv.Question(lines, _PYTHON, _GLIBC, Path.cwd(), env, sys.executable, builds=False)
        with scratch.folder("uv") as folder:
            found = uv.newest(question, _PACKAGE, folder)
    except uv.UvError as error:
        said = explain(error.stderr, asked_in="the doctor's question", python_version=_PYTHON)
        return Finding(_CHECK, "error", said.message, said.hint or _REMEDY)
    except CogNixError as error:
        return Finding(_CHECK, "error", error.message, error.hint or _REMEDY)
    return Finding(_CHECK, "ok", f"an index answers (it has {_PACKAGE} {found})")
