"""Be a builder whose foreign code is escape.py: run it as builders do, plain and traced.

Argument, JSON: ``{"binds": {path inside: path}, "command": […], "work": folder, "links": [path, …]}``. What
the command prints is printed, and then ``LINKS`` and those through which the builder itself could write, had
foreign code left them in its file system.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import confinement
import namespace
from ownership import Ownership


def main() -> None:
    """Run it."""
    told = json.loads(sys.argv[1])
    confinement.shelter()
    for number, owners in enumerate((None, Ownership())):
        root = Path(told["work"]) / f"root-{number}"
        for name in ("dev", "proc", "tmp"):
            (root / name).mkdir(parents=True)
        (root / "escape.py").write_text(Path(__file__).with_name("escape.py").read_text())
        binds = {inside: Path(path) for inside, path in told["binds"].items()}
        status = namespace.run(root, told["command"], {"PATH": "/usr/bin:/bin"}, binds, owners=owners)
        assert status == 0, status
    left = root / "left"
    open_to_links = []
    for target in told["links"]:
        left.symlink_to(target)
        try:
            os.close(os.open(left, os.O_WRONLY))
            open_to_links.append(target)
        except OSError:
            pass
        left.unlink()
    print("LINKS", json.dumps(open_to_links), flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
