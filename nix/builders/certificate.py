"""Make the image trust certificate authorities that ``COG_CA_CERT`` names, as a fragment.

Spec::

    {"certificate": PEM text, "lower": [store path of a fragment, …]}

``update-ca-certificates`` of the image's own system does it, with the hooks that its packages bring (Java's
key store is one); what it changes is the fragment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import archive
import changes
import confinement
import inputs
import namespace
import snapshot
import unpack
from failure import CommandError

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
    status = namespace.run(root, _COMMAND, _ENVIRONMENT, {})
    if status:
        raise CommandError("update-ca-certificates", status)


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    confinement.shelter()
    root = inputs.scratch() / "root"
    root.mkdir()
    lower = unpack.unpack([Path(path) for path in spec["lower"]], root)
    before = snapshot.take(root, closed=snapshot.MOUNTS)
    install(spec["certificate"], root)
    changed, gone = changes.between(before, dict(snapshot.walk(root, closed=snapshot.MOUNTS)))
    taken = changes.Changes(root, lower, lower)
    taken.add(changed)
    taken.remove(gone)
    archive.write_fragment(inputs.output(), taken.entries(), "certificate")
