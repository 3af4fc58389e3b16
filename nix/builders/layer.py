"""Describe a layer of several fragments: the digest and size of their concatenation.

Spec::

    {"name": "python", "fragments": [store path, …]}

Nothing is copied: the layer is streamed from its fragments whenever it is needed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import archive
import inputs

_CHUNK = 1 << 20


def describe(parts: list[Path]) -> archive.Description:
    """Hash the concatenation of ``parts`` and the end-of-archive blocks."""
    digest, size = hashlib.sha256(), 0
    for part in parts:
        with part.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    digest.update(archive.END)
    return {
        "diff_id": f"sha256:{digest.hexdigest()}",
        "size": size + len(archive.END),
        "parts": [str(part) for part in parts],
    }


def main() -> None:
    """Build the output."""
    spec = inputs.read()
    description = describe([Path(fragment) / "files.tar" for fragment in spec["fragments"]])
    inputs.output().mkdir()
    (inputs.output() / "fragment.json").write_text(
        json.dumps({"name": spec["name"], **description}, indent=1, sort_keys=True)
    )


if __name__ == "__main__":
    main()
