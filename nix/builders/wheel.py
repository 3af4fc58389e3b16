"""Install one wheel as a fragment, bytecode included.

Spec::

    {"wheel": store path, "filename": "numpy-….whl", "python": "3.13", "tree": store path of a Python 3.13,
     "headers": "include/site/python3.13"}

Installed with PyPA's ``installer`` into ``/usr/local``, as ``pip`` would lay it out
there. Besides the fragment the output has ``distribution.json``: name and version as the wheel's METADATA
spells them.
"""

from __future__ import annotations

import email.parser
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import archive
import inputs
import python_tree
from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

if TYPE_CHECKING:
    from os import PathLike

    from installer.records import RecordEntry
    from installer.utils import Scheme

_PREFIX = "/usr/local"


class _Environment(SchemeDictionaryDestination):
    """Makes every script executable, as pip does: a wheel made without permission bits does not say so."""

    def write_file(
        self,
        scheme: Scheme,
        path: str | PathLike[str],
        stream: BinaryIO,
        is_executable: bool,  # noqa: FBT001 - as the base class has it
    ) -> RecordEntry:
        """Write one file of the wheel."""
        return super().write_file(scheme, path, stream, is_executable or scheme == "scripts")


def unpack(wheel: Path, python: str, root: Path, headers: str = "") -> dict[str, str]:
    """Install ``wheel`` under ``root``; return its name and version.

    Args:
        wheel: the file.
        python: minor version.
        root: what stands for ``/``.
        headers: where under ``/usr/local`` C headers go; "": where pip puts them in a virtual environment.
    """
    headers = headers or f"include/site/python{python}"
    site = f"{_PREFIX}/lib/python{python}/site-packages"
    with WheelFile.open(wheel) as source:
        destination = _Environment(
            {
                "purelib": site,
                "platlib": site,
                "headers": f"{_PREFIX}/{headers}/{source.distribution}",
                "scripts": f"{_PREFIX}/bin",
                "data": _PREFIX,
            },
            interpreter=f"{_PREFIX}/bin/python",
            script_kind="posix",
            destdir=str(root),
        )
        install(source, destination, {"INSTALLER": b"cog-nix\n"})
        metadata = email.parser.HeaderParser().parsestr(source.read_dist_info("METADATA"))
    return {"name": metadata["Name"], "version": metadata["Version"]}


def main() -> None:
    """Build the output."""
    spec = inputs.read()
    wheel = inputs.scratch() / spec["filename"]
    wheel.symlink_to(spec["wheel"])
    root = inputs.scratch() / "root"
    root.mkdir()
    distribution = unpack(wheel, spec["python"], root, spec["headers"])
    # pip runs once in a container's life, if ever; its bytecode would be a twentieth of a small image.
    files = [os.path.relpath(path, root) for path in root.rglob("*.py") if distribution["name"] != "pip"]
    python_tree.compile_all(Path(spec["tree"]), spec["python"], root, "/", files)
    archive.write_fragment(inputs.output(), archive.from_tree(root), distribution["name"])
    (inputs.output() / "distribution.json").write_text(json.dumps(distribution, sort_keys=True))


if __name__ == "__main__":
    main()
