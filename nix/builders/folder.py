"""Make a fragment of a folder or a file.

Spec::

    {"name": "voices", "path": store path, "to": "/opt/voices"}
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import archive
import inputs

if TYPE_CHECKING:
    from collections.abc import Iterator


def entries(path: Path, target: str) -> Iterator[archive.Entry]:
    """Yield what lands in the image, and the folders above it."""
    name = target.strip("/")
    if path.is_dir():
        if name:
            yield from archive.folders(name)
        yield from archive.from_tree(path, name)
    else:
        if "/" in name:
            yield from archive.folders(name.rpartition("/")[0])
        yield archive.normalised(path, name)


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    archive.write_fragment(inputs.output(), entries(Path(spec["path"]), spec["to"]), spec["name"])
