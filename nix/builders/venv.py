"""Make ``/usr/local`` a virtual environment of the image's interpreter (PEP 405), as a fragment.

Spec::

    {"python": "3.13", "version": "3.13.5", "executable": "/usr/bin/python3.13"}
"""

from __future__ import annotations

import tarfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import archive
import inputs

if TYPE_CHECKING:
    from collections.abc import Iterator


def entries(python: str, version: str, executable: str) -> Iterator[archive.Entry]:
    """Yield the environment's own files, and the name that upstream's images have their init under.

    ``include-system-site-packages``: Debian's Python modules, which ``system_packages`` may bring, are seen.
    """
    configuration = "\n".join(
        [
            f"home = {PurePosixPath(executable).parent}",
            "include-system-site-packages = true",
            f"version = {version}",
            f"executable = {executable}",
            "",
        ]
    )
    yield from archive.folders("usr/local/bin")
    yield from archive.folders(f"usr/local/lib/python{python}/site-packages")
    yield from archive.folders("usr/sbin")
    yield archive.Entry("usr/sbin/tini", 0o777, tarfile.SYMTYPE, target="../bin/tini")
    yield archive.Entry("usr/local/pyvenv.cfg", 0o644, data=configuration.encode())
    for name in ("python", "python3", f"python{python}"):
        yield archive.Entry(f"usr/local/bin/{name}", 0o777, tarfile.SYMTYPE, target=executable)


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    archive.write_fragment(
        inputs.output(), entries(spec["python"], spec["version"], spec["executable"]), "venv"
    )
