"""Starts the process that keeps a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from cog_nix.keep import place
from cog_nix.system.paths import cache_path
from cog_nix.system.scratch import remove

if TYPE_CHECKING:
    from cog_nix.keep.request import KeepRequest


def start(request: KeepRequest) -> str:
    """Start it, in a session of its own; return the name of its folder, whose socket listens already.

    Raises:
        UnsafePlaceError: there is no place for its socket.
        OSError: no process can be started.
    """
    name, server, lock = place.make(request.slot)
    folder = f"{place.parent()}/{name}"
    try:
        process = subprocess.Popen(
            # The current folder is no place to import from.
            [sys.executable, "-B", "-P", "-m", "cog_nix.keep.keeper", name, str(server.fileno()), str(lock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(server.fileno(), lock),
            cwd="/",  # that of the project may go before it does
            env=_environment(),
            start_new_session=True,  # neither Ctrl-C nor the end of the terminal is for it
        )
        with suppress(BrokenPipeError):  # whoever connects notices its end
            assert process.stdin  # noqa: S101 - for the type checker
            with process.stdin as pipe:
                pipe.write(json.dumps(request.written()).encode())
    except BaseException:
        remove(folder)
        raise
    finally:
        server.close()
        os.close(lock)
    process.returncode = 0  # nobody waits for it, and Python is not to say so
    return name


def _environment() -> dict[str, str]:
    """Return this process's environment, with nothing in it that is relative to the current folder."""
    paths = [path for path in sys.path if path]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, paths)),
        "COG_NIX_CACHE_DIR": cache_path(),
    }
