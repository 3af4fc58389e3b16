"""Runs a command's builder beside Nix: in a sandbox of its own, where secrets can be handed to it."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.namespaces import sandbox
from cog_nix.store.paths import STORE_DIR
from cog_nix.system import scratch
from cog_nix.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cog_nix.store.nix import Nix

_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Outcome:
    """What came of a command."""

    output: Path
    """The result, where ``status`` is 0; it is there as long as it is looked at."""
    status: int
    """Of the builder; :data:`cog_nix.namespaces.sandbox.FAILED` when there could be no sandbox."""
    said: list[str]
    ended: int | None
    """Exit status of the command itself; None: it ended well, or was not run."""


@contextmanager
def executed(
    invocation: Path, nix: Nix, name: str, handed: str, show: Callable[[str], None]
) -> Iterator[Outcome]:
    """Run a builder to its end.

    Args:
        invocation: says how it is started (``beside`` in ``nix/derive.nix``).
        nix: whose store it uses; the sandbox is where its programs run.
        name: of the result.
        handed: what its standard input is.
        show: is called with each line that it prints.
    """
    described = json.loads(invocation.read_text(encoding="utf-8"))
    said: list[str] = []

    def hear(line: str) -> None:
        text = _CONTROL.sub("", line)
        said.append(text)
        show(text)

    # Where Nix has its builds' folders: TMPDIR, or /tmp.
    # Root's builder is another user, and "build" its own.
    with scratch.folder("run", mode=0o711) as folder:
        for part in ("root", "build", "out"):
            (folder / part).mkdir(mode=0o700)
        (folder / "build/spec").write_text(json.dumps(described["spec"]), encoding="utf-8")
        environment = {
            **described["environment"],
            "HOME": "/homeless-shelter",
            "NIX_BUILD_TOP": "/build",
            "TMPDIR": "/build",
            "out": f"/out/{name}",
            "specPath": "/build/spec",
        }
        question = {
            "shown": {STORE_DIR: str(nix.store_dir)},
            "folder": str(folder),
            "command": described["command"],
            "environment": environment,
            "network": True,
        }
        command = [nix.python(), "-I", sandbox.__file__, json.dumps(question)]
        finished = run(command, stdin=handed, check=False, on_stderr=hear)
        yield Outcome(folder / "out" / name, finished.returncode, said, _ended(folder / "build/ended"))


def _ended(file: Path) -> int | None:
    """Return what the builder (``nix/builders/run.py``) wrote of the command's end."""
    with suppress(ValueError):
        return int(file.read_text(encoding="ascii")) if file.is_file() else None
    return None
