"""What commands and source builds made, looked at once it is there.

A lock is resolved before commands run and sources are built, so the libraries that their results link to are
not known then. After the first build they are: what is missing is locked, and the image is made once more.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cog_nix.store.paths import store_name
from cog_nix.system.state import recall, remember

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.elf.scan import Scan
    from cog_nix.image.description import ImageDescription
    from cog_nix.lock.model import Lock

COMMAND = "Command"
"""What a command's title in a reason begins with."""


def fragments(image: ImageDescription, lock: Lock) -> Iterator[tuple[str, str]]:
    """Yield what was made, as ``(title, name of its path in the store)``.

    A wheel that was built from source goes by its own name, a command by its number from 1.
    """
    built = {store_name(f"{wheel.name}-{wheel.version}"): wheel.name for wheel in lock.wheels if wheel.source}
    for layer in image.layers:
        kind, _, number = layer.name.partition("-")
        for fragment in layer.fragments:
            _, _, name = fragment.partition("-")
            if kind == "run" and number.isdigit():
                yield f"{COMMAND} {int(number) + 1}", fragment
            elif name in built:
                yield built[name], fragment


class Made:
    """What an image has that was made by commands and source builds.

    Args:
        image: which.
        lock: what it was built from.
        store: where store paths really are.
        state: ``.cog``, where it is remembered what has been looked at.
    """

    def __init__(self, image: ImageDescription, lock: Lock, store: Path, state: Path) -> None:
        self._found = list(fragments(image, lock))
        self._linked = [f"{deb.package}_{deb.version}" for deb in lock.linked]
        self._store, self._mark = store, state / "linked"

    @property
    def is_new(self) -> bool:
        """Whether any of it has not been looked at, with what is locked for its libraries."""
        if not self._found:
            return False
        return recall(self._mark) != self._digest()

    def scans(self) -> dict[str, Scan]:
        """Return what links to anything, by title."""
        from cog_nix.elf.folder import scan_fragment  # noqa: PLC0415 - a build that made nothing new goes without

        found = {title: scan_fragment(self._store / name) for title, name in self._found}
        return found if any(scan.files for scan in found.values()) else {}

    def remember(self) -> None:
        """Note that all of it has been looked at."""
        remember(self._mark, self._digest())

    def _digest(self) -> str:
        looked_at = (*(name for _, name in self._found), *self._linked)
        return hashlib.sha256("\n".join(looked_at).encode()).hexdigest()
