"""Put a Nix package and all that it refers to into the image, as a fragment.

Spec::

    {"package": store path, "below": number of packages that lower layers hold already}

Nix hands over the references of this package in the file ``references-0`` and those of the packages below in
``references-1`` and so on (Nix manual, "exportReferencesGraph"). What the package has in ``bin`` is linked
into ``/usr/local/bin``.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archive
import inputs
from failure import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BIN = "usr/local/bin"


def read_references(path: Path) -> set[str]:
    """Return the store paths of a closure.

    The file has, for each path, a line with the path, one with its deriver, one with the number of its
    references, and a line for each of these.
    """
    lines = path.read_text().splitlines()
    found, position = set(), 0
    while position < len(lines):
        found.add(lines[position])
        position += 3 + int(lines[position + 2])
    return found


def entries(package: Path, closure: set[str], below: set[str]) -> Iterator[archive.Entry]:
    """Yield the closure's files but for what lower layers have, and the links to the package's programs."""
    yield from archive.folders("nix/store")
    for path in sorted(closure - below):
        name = path.lstrip("/")
        found = Path(path)
        if found.is_dir() and not found.is_symlink():
            yield from archive.from_tree(found, name)
        else:
            yield archive.normalised(found, name)
    programs = package / "bin"
    if programs.is_dir():
        yield from archive.folders(_BIN)
        for program in sorted(programs.iterdir()):
            yield archive.Entry(f"{_BIN}/{program.name}", 0o777, tarfile.SYMTYPE, target=str(program))


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    package = Path(spec["package"])
    top = inputs.scratch()
    closure = read_references(top / "references-0")
    if str(package) not in closure:
        raise BuildError(f"Nix did not say what {package.name} refers to")
    below = set[str]().union(*(read_references(top / f"references-{n + 1}") for n in range(spec["below"])))
    archive.write_fragment(inputs.output(), entries(package, closure, below), package.name)
