"""Symbolic links in place of files that a lower layer, or the same one, has already.

Spec::

    {"name": "triton", "python": "3.13", "links": [[path, path of the same content], …]}

Paths are below ``site-packages``. Whoever reads through the link reads the same bytes, so RECORD stays true;
and ``$ORIGIN`` of a library is the folder of the path by which it was opened (ld.so(8)), which is the link's.
"""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING, Any

import archive
import inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def entries(python: str, links: Sequence[Sequence[str]]) -> Iterator[archive.Entry]:
    """Yield the links and the folders above them."""
    site = f"usr/local/lib/python{python}/site-packages"
    for path, same in links:
        folder = os.path.dirname(path)  # noqa: PTH120 - paths of an image, and relpath below
        yield from archive.folders(f"{site}/{folder}".rstrip("/"))
        target = os.path.relpath(same, folder or ".")
        yield archive.Entry(f"{site}/{path}", 0o777, tarfile.SYMTYPE, target=target)


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    name = f"{spec['name']}-symlinks"
    archive.write_fragment(inputs.output(), entries(spec["python"], spec["links"]), name)
