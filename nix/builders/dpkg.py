"""dpkg's database, and paths as packages have them on a merged ``/usr`` (Debian Policy 10.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target import TARGET

if TYPE_CHECKING:
    from pathlib import Path

INFO = "var/lib/dpkg/info"
STATUS = "var/lib/dpkg/status"
MERGED = ("bin", "sbin", "lib", "lib64")
"""Links to folders below ``/usr``."""
LINKS = tuple(name for name in MERGED if name in ("bin", "sbin", "lib", TARGET.loader.partition("/")[0]))
"""Those of them that a system of the image's platform has."""


def merged(path: str) -> str:
    """Return a path with these links followed (``bin/sh`` → ``usr/bin/sh``)."""
    head, _, rest = path.partition("/")
    return f"usr/{path}" if head in MERGED and rest else path


def info_file(root: Path, package: str, kind: str) -> Path | None:
    """Return a file of a package's in the database, by its kind: ``list``, ``md5sums``."""
    name, _, architecture = package.partition(":")
    candidates = (f"{name}:{architecture or TARGET.debian}.{kind}", f"{name}.{kind}")
    return next((path for one in candidates if (path := root / INFO / one).is_file()), None)


def package_files(root: Path, package: str) -> list[str]:
    """Return the paths that dpkg gives to a package, merged, without a leading slash."""
    listed = info_file(root, package, "list")
    lines = listed.read_text(errors="surrogateescape").splitlines() if listed else []
    return [merged(line.lstrip("/")) for line in lines if line not in ("", "/.")]
