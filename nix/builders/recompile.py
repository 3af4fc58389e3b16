"""Bytecode that a command left behind, compiled anew: without times in it, and where there was none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import python_tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_CACHED = re.compile(
    r"(?P<folder>.*?)/?__pycache__/(?P<module>[^/]+)\.(?P<tag>[a-z]+-\d+)(?P<level>\.opt-\d)?\.pyc"
)


def compile_changed(root: Path, tree: Path, minor: str, changed: Sequence[str]) -> list[str]:
    """Compile anew what a command compiled, without times in it, and what it left uncompiled in packages.

    Args:
        root: the file system.
        tree: an interpreter that runs here, of the image's version.
        minor: its version, ``3.13``.
        changed: paths that the command made or changed.

    Returns:
        The paths of all bytecode that belongs to the layer.
    """
    tag = f"cpython-{minor.replace('.', '')}"
    packages = (f"usr/local/lib/python{minor}/site-packages/", "usr/lib/python3/dist-packages/")
    sources = {path for path in changed if path.endswith(".py") and path.startswith(packages)}
    kept: list[str] = []
    for path in changed:
        found = _CACHED.fullmatch(path)
        if found is None:
            continue
        source = f"{found['folder']}/{found['module']}.py".lstrip("/")
        if found["tag"] != tag:
            kept += [path] if without_clock(root / path) else []
        elif not found["level"] and (root / source).is_file():
            sources.add(source)
    caches = {_cache_of(source, tag) for source in sources}
    for path in caches:
        (root / path).unlink(missing_ok=True)
    python_tree.compile_all(tree, minor, root, "/", sorted(sources))
    return kept + sorted(path for path in caches if (root / path).is_file())


def _cache_of(source: str, tag: str) -> str:
    folder, slash, name = source.rpartition("/")
    return f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.{tag}.pyc"


def without_clock(path: Path) -> bool:
    """Turn bytecode of another Python into the unchecked kind (PEP 552); say whether it can be.

    Bytecode of the usual kind is compared with its source's time at import, which the layer does not keep.
    """
    data = path.read_bytes()
    if len(data) < 16 or data[2:4] != b"\r\n" or data[4:8] not in (bytes(4), b"\1\0\0\0", b"\3\0\0\0"):  # noqa: PLR2004
        return False
    path.write_bytes(data[:4] + b"\1\0\0\0" + bytes(8) + data[16:])
    return True
