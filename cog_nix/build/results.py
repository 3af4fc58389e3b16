"""What commands and source builds left behind, looked at once it is there: the second pass of a build.

A lock is resolved before commands run and sources are built, so the libraries that their results link to are
not known then. After the first build they are: what is missing is locked, and the image is made once more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from cog_nix.lock import format as lock_format
from cog_nix.lock.upgrade import Upgrade
from cog_nix.store.paths import store_name
from cog_nix.system.state import recall, remember

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cog_nix.elf.scan import Scan
    from cog_nix.image.description import ImageDescription
    from cog_nix.lock.model import Lock
    from cog_nix.resolve.needs import Owner
    from cog_nix.resolve.request import Request, Tools
    from cog_nix.store.nix import Nix


@dataclass(frozen=True)
class BuiltImage:
    """An image in the store, and the lock that it was made by."""

    lock: Lock
    image: ImageDescription
    oci: Path | None
    """An OCI image layout of it, when one was asked for."""


@dataclass(frozen=True)
class BuildResults:
    """What an image has that commands and source builds left behind."""

    built: BuiltImage
    store: Path
    """Where store paths really are."""
    mark: Path
    """Where it is remembered what has been looked at."""

    @cached_property
    def fragments(self) -> tuple[tuple[Owner, str], ...]:
        """Whose each is, and the name of its path in the store."""
        return tuple(_fragments(self.built.image, self.built.lock))

    @property
    def are_new(self) -> bool:
        """Whether any of it has not been looked at, with what is locked for its libraries."""
        return bool(self.fragments) and recall(self.mark) != self._digest

    def scans(self) -> dict[Owner, Scan]:
        """Return what links to anything, by owner."""
        from cog_nix.elf.folder import scan_fragment  # noqa: PLC0415 - a build that made nothing new goes without

        found = {
            owner: scan_fragment(self.store / name, self.built.lock.target.elf_machine)
            for owner, name in self.fragments
        }
        return found if any(scan.files for scan in found.values()) else {}

    def remember(self) -> None:
        """Note that all of it has been looked at."""
        remember(self.mark, self._digest)

    @property
    def _digest(self) -> str:
        debs = (f"{deb.package}_{deb.version}" for deb in self.built.lock.linked)
        looked_at = (*(name for _, name in self.fragments), *debs)
        return hashlib.sha256("\n".join(looked_at).encode()).hexdigest()


def _fragments(image: ImageDescription, lock: Lock) -> Iterator[tuple[Owner, str]]:
    from_source = {
        store_name(f"{wheel.name}-{wheel.version}"): wheel.name for wheel in lock.wheels if wheel.source
    }
    for layer in image.layers:
        kind, _, number = layer.name.partition("-")
        for fragment in layer.fragments:
            _, _, name = fragment.partition("-")
            if kind == "run" and number.isdigit():
                yield int(number) + 1, fragment
            elif name in from_source:
                yield from_source[name], fragment


def with_linked_libraries(
    built: BuiltImage,
    request: Request,
    nix: Nix,
    tools: Callable[[], Tools],
    make: Callable[[Lock], BuiltImage],
) -> BuiltImage:
    """Return an image with the libraries that its commands and source builds link to: the second pass.

    Args:
        built: the image without.
        request: what its lock was made for, with completed settings.
        nix: whose store it is in.
        tools: to lock what is missing; called only when something is.
        make: makes an image by a lock.

    Raises:
        LockError: what is missing does not fit.
        NixError: the image cannot be made.
    """
    results = BuildResults(built, nix.store_dir, request.project.state_dir / "linked")
    if not results.are_new:
        return built
    if scans := results.scans():
        from cog_nix.resolve.stages import resolve, results_lack  # noqa: PLC0415 - few images have any

        lock, again = built.lock, replace(request, previous=built.lock, upgrade=Upgrade(), results=scans)
        if results_lack(again, tools(), lock, scans) and (linked := resolve(again, tools())) != lock:
            lock_format.write(linked, request.project.lock_path)
            results = replace(results, built=make(linked))
    results.remember()
    return results.built
