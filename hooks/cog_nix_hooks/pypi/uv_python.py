"""Be the Python that uv starts: tell who it is, and run everything else in a sandbox.

Arguments: what :mod:`cog_nix_hooks.pypi.backends` tells, as JSON; the path that this was started by; Python's
own arguments. The standard library is enough.

What a call needs is copied: the virtual environment, the source, and the folders that the script of uv's
writes to. What it wrote there, as far as it is plain files, is copied back. So the call owns all that it
sees, whoever the sandbox makes it, and changes nothing that another call sees.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_QUERY = "get_interpreter_info"
"""What uv's script that asks a Python who it is imports."""
_LITERAL = re.compile(r'b?"/(?:[^"\\\n]|\\.)*"')
"""A path in a script of uv's: a string, or bytes that it decodes."""
_NAMES = ("sys_executable", "sys_base_executable")


def identify(told: dict[str, Any], program: str, arguments: list[str]) -> int:
    """Answer as the real Python does, except for where it is."""
    asked = subprocess.run([told["python"], *arguments], stdout=subprocess.PIPE, check=False)
    try:
        answer = json.loads(asked.stdout)
    except ValueError:
        sys.stdout.buffer.write(asked.stdout)
        return asked.returncode
    if answer.get("result") == "success":
        answer |= dict.fromkeys(_NAMES, program)
    sys.stdout.write(json.dumps(answer))
    return asked.returncode


class Staging:
    """Copies of what a call sees, under a folder that takes the place of what they have in common.

    Args:
        folder: where to make them; empty.
        environment: the virtual environment.
        source: the folder that the call runs in.
        script: what it runs.
    """

    def __init__(self, folder: Path, environment: Path, source: Path, script: str) -> None:
        named = [Path(os.fsdecode(ast.literal_eval(found))) for found in _LITERAL.findall(script)]
        project = _project(source)
        self._written = [path for path in named if not path.is_relative_to(project)]
        self.common = Path(os.path.commonpath([environment, project, *(one.parent for one in self._written)]))
        self._folder = folder
        self._places = {environment, project, *(one if one.is_dir() else one.parent for one in self._written)}
        self._copy(environment)
        self._copy(project)
        for place in self._places:
            self._staged(place).mkdir(parents=True, exist_ok=True)

    @property
    def shown(self) -> dict[str, str]:
        """Where each copy is to be seen, by its path below the folder.

        Not all of what they have in common: that is the root where a project is far from uv's cache.
        """
        return {
            str(place.relative_to(self.common)): str(place)
            for place in sorted(self._places)
            if not any(other in place.parents for other in self._places)
        }

    def _staged(self, path: Path) -> Path:
        return self._folder / path.relative_to(self.common)

    def _copy(self, tree: Path) -> None:
        shutil.copytree(tree, self._staged(tree), symlinks=True, dirs_exist_ok=True)

    def use(self, python: str, environment: Path) -> None:
        """Let the environment's copy lead to the real Python (PEP 405)."""
        staged = self._staged(environment)
        for link in (staged / "bin").iterdir():
            if link.is_symlink() and link.name.startswith("python"):
                link.unlink()
                link.symlink_to(python)
        settings = staged / "pyvenv.cfg"
        lines = [line for line in settings.read_text().splitlines() if not line.startswith("home ")]
        settings.write_text("\n".join([f"home = {Path(python).parent}", *lines, ""]))

    def take_back(self) -> None:
        """Copy what was written to where it was meant to be; links that were left lead nowhere."""
        for path in self._written:
            staged = self._staged(path)
            if Path(os.path.realpath(staged)) != Path(os.path.realpath(self._folder)) / path.relative_to(
                self.common
            ):
                continue
            if staged.is_file():
                shutil.copyfile(staged, path)
            for parent, _, names in os.walk(staged):
                target = path / Path(parent).relative_to(staged)
                target.mkdir(exist_ok=True)
                for name in names:
                    found = Path(parent) / name
                    if found.is_file() and not found.is_symlink():
                        shutil.copyfile(found, target / name)


def _project(source: Path) -> Path:
    """Return the checkout that a source is a folder of, or itself.

    uv has an empty ``.git`` above the archives that it unpacked, where Git's search for a checkout ends.
    That is not a checkout: all that this user ever built lies below it.
    """
    nearest = next((one for one in (source, *source.parents) if (one / ".git").exists()), None)
    if nearest is None:
        return source
    mark = nearest / ".git"
    return nearest if mark.is_dir() or mark.stat().st_size else source


def call(told: dict[str, Any], program: str, arguments: list[str]) -> int:
    """Run what uv wants to be run in its environment; return the exit status."""
    environment = Path(os.environ.get("VIRTUAL_ENV") or Path(program).parents[1])
    source = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="cog-nix-backend-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # root's sandbox is another user
        for part in ("root", "build", "out", "build/tree"):
            (folder / part).mkdir(mode=0o700)
        staging = Staging(folder / "build/tree", environment, source, "\n".join(arguments))
        staging.use(told["python"], environment)
        question = {
            "system": told["shown"],
            "shown": staging.shown,
            "environment": str(environment),
            "source": str(source),
            "command": [f"{environment}/bin/python", *arguments],
        }
        (folder / "build/call.json").write_text(json.dumps(question))
        sandboxed = {
            "shown": {
                **{path: path for path in told["shown"]},
                "/builders": told["builders"],
                "/backend_call.py": told["call"],
            },
            "folder": name,
            "command": [told["python"], "-I", "-B", "/backend_call.py"],
            "environment": {},
            "network": False,
        }
        command = [told["python"], "-I", told["sandbox"], json.dumps(sandboxed)]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        if status == 0:
            staging.take_back()
    return status


def main() -> None:
    """Read the command line."""
    told, program, *arguments = sys.argv[1:]
    asks = arguments[:3] == ["-I", "-B", "-c"] and _QUERY in arguments[3]
    # Calls of backends come by the link in an environment, and uv itself asks without it.
    run = identify if asks and not Path(program).is_symlink() else call
    sys.exit(run(json.loads(told), os.path.abspath(program), arguments))  # noqa: PTH100 - links are kept


if __name__ == "__main__":
    main()
