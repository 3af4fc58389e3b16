"""Unpack fragments into one folder: a file system that many builds share and none of them changes.

Spec::

    {"lower": [store path of a fragment, …]}

Builds lay a folder of their own over it (``namespace.run``). Nix keeps neither owners nor setuid bits, and
gives everything the same time; nothing that runs in a build depends on those.
"""

from __future__ import annotations

import debs
import inputs


def main() -> None:
    """Build the output."""
    spec = inputs.read()
    root = inputs.output()
    root.mkdir()
    debs.unpack_lower(spec["lower"], root)
    for folder in ("dev", "proc", "run", "sys", "tmp"):
        (root / folder).mkdir(exist_ok=True)


if __name__ == "__main__":
    main()
