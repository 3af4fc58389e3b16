"""Make the image trust certificate authorities that ``COG_CA_CERT`` names, as a fragment.

Spec::

    {"certificate": PEM text, "lower": [store path of a fragment, …]}

``update-ca-certificates`` of the image's own system does it, with the hooks that its packages bring (Java's
key store is one); what it changes is the fragment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import archive
import debs
import inputs
import namespace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FILE = "usr/local/share/ca-certificates/cog-ca-cert.crt"
_COMMAND = ["/usr/sbin/update-ca-certificates"]
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C", "TZ": "UTC"}


def install(pem: str, root: Path) -> None:
    """Put the certificates into ``root`` and let its system take them."""
    target = root / FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(pem)
    for name in ("dev", "proc", "tmp"):
        (root / name).mkdir(exist_ok=True)
    status = namespace.run(root, _COMMAND, _ENVIRONMENT, {"/dev": Path("/dev")})
    if status:
        sys.exit(f"cog-nix: update-ca-certificates ended with status {status}")


def links(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return the targets of those paths that are symbolic links."""
    return {path: os.readlink(root / path) for path in paths if (root / path).is_symlink()}  # noqa: PTH115 - text


def changed(root: Path, before: Mapping[str, int], targets: Mapping[str, str]) -> list[archive.Entry]:
    """Return the entries of what is new or another than before, and of the folders above it."""
    entries: list[archive.Entry] = []
    after = debs.snapshot(root)
    same = {path for path, target in links(root, after).items() if targets.get(path) == target}
    for path, clock in after.items():
        found = root / path
        if before.get(path) != clock and path not in same and (found.is_symlink() or found.is_file()):
            entries += archive.folders(str(Path(path).parent))
            entries.append(archive.normalised(found, path))
    return [*entries, *debs.whiteouts(before.keys() - after.keys())]


def main() -> None:
    """Build the output."""
    spec = inputs.read()
    root = inputs.scratch() / "root"
    root.mkdir()
    debs.unpack_lower(spec["lower"], root)
    before = debs.snapshot(root)
    targets = links(root, before)
    install(spec["certificate"], root)
    debs.clean(root)
    archive.write_fragment(inputs.output(), changed(root, before, targets), "certificate")


if __name__ == "__main__":
    main()
