"""Make a fragment of single files.

Spec::

    {"files": [{"path": store path, "to": "/opt/unet.pth"}, …]}
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import archive
import folder
import inputs

if TYPE_CHECKING:
    from collections.abc import Iterator


def entries(files: list[dict[str, str]]) -> Iterator[archive.Entry]:
    """Yield what lands in the image, and the folders above it."""
    for file in files:
        yield from folder.entries(Path(file["path"]), file["to"])


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    archive.write_fragment(inputs.output(), entries(spec["files"]), "weights")
