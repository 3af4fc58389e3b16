"""Run a call of a build backend, inside the sandbox: as root of a file system with the machine's programs.

What to run is in ``/build/call.json`` (``uv_python.py``). The file system is made of what the sandbox shows,
and of the call's own folders.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

_BUILD = Path("/build")
_IN = 'cd "$1" && shift && exec "$@"'


def main() -> None:
    """Run it; end with its exit status."""
    sys.path.insert(0, "/builders")
    import namespace  # noqa: PLC0415 - it is of the sandbox

    told = json.loads((_BUILD / "call.json").read_text())
    root = _BUILD / "root"
    for name in ("dev", "proc", "tmp"):
        (root / name).mkdir(parents=True)
    binds = {}
    for path in map(Path, told["system"]):
        inside = root / path.relative_to("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            inside.symlink_to(path.readlink())
            continue
        if path.is_file():
            inside.touch()
        binds[str(path)] = path
    staged = {path: _BUILD / "tree" / place for place, path in told["shown"].items()}
    environment = {
        "PATH": f"{told['environment']}/bin:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": told["environment"],
        "HOME": "/tmp",  # noqa: S108 - the call's own
        "LANG": "C.UTF-8",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }
    command = ["/bin/sh", "-c", _IN, "sh", told["source"], *told["command"]]
    sys.exit(namespace.run(root, command, environment, {**binds, **staged}))


if __name__ == "__main__":
    main()
