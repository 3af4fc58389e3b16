"""Install one wheel as a fragment, bytecode included.

Spec::

    {"wheel": store path, "filename": "numpy-….whl", "python": "3.13", "tree": store path of a Python 3.13,
     "headers": "include/site/python3.13", "origin": "https://…"}

``wheel`` may be a folder with the one that was built; ``origin`` is there for a direct reference (PEP 610).

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


def unpack(wheel: Path, python: str, root: Path, *, headers: str = "", origin: str = "") -> dict[str, str]:
    """Install ``wheel`` under ``root``; return its name and version.

    Args:
        wheel: the file, named as wheels are.
        python: minor version.
        root: what stands for ``/``.
        headers: where under ``/usr/local`` C headers go; "": where pip puts them in a virtual environment.
        origin: what a direct reference points to, for ``direct_url.json``.
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
        direct = {"direct_url.json": direct_url(origin)} if origin else {}
        install(source, destination, {"INSTALLER": b"cog-nix\n", **direct})
        metadata = email.parser.HeaderParser().parsestr(source.read_dist_info("METADATA"))
    found = {"name": metadata["Name"], "version": metadata["Version"]}
    return {**found, "origin": origin} if origin else found


def direct_url(origin: str) -> bytes:
    """Return the contents of ``direct_url.json`` (PEP 610) for a reference as the lock has it."""
    url, _, fragment = origin.partition("#")
    known = dict(part.split("=", 1) for part in fragment.split("&") if part)
    described: dict[str, object]
    if url.startswith("git+"):
        repository, _, commit = url.removeprefix("git+").rpartition("@")
        described = {"url": repository, "vcs_info": {"vcs": "git", "commit_id": commit}}
    else:
        sha256 = known.get("sha256", "")
        described = {"url": url, "archive_info": {"hash": f"sha256={sha256}", "hashes": {"sha256": sha256}}}
    if "subdirectory" in known:
        described["subdirectory"] = known["subdirectory"]
    return json.dumps(described, sort_keys=True).encode()


def main() -> None:
    """Build the output."""
    spec = inputs.read()
    given = Path(spec["wheel"])
    built = next(given.glob("*.whl")) if given.is_dir() else given
    wheel = inputs.scratch() / (built.name if given.is_dir() else spec["filename"])
    wheel.symlink_to(built)
    root = inputs.scratch() / "root"
    root.mkdir()
    distribution = unpack(wheel, spec["python"], root, headers=spec["headers"], origin=spec.get("origin", ""))
    # pip runs once in a container's life, if ever; its bytecode would be a twentieth of a small image.
    files = [os.path.relpath(path, root) for path in root.rglob("*.py") if distribution["name"] != "pip"]
    python_tree.compile_all(Path(spec["tree"]), spec["python"], root, "/", files)
    archive.write_fragment(inputs.output(), archive.from_tree(root), distribution["name"])
    (inputs.output() / "distribution.json").write_text(json.dumps(distribution, sort_keys=True))


if __name__ == "__main__":
    main()
