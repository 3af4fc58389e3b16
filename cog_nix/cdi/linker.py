"""The dynamic linker's cache in a container: what it knows, and the driver's libraries added to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.elf import ldcache
from cog_nix.system.platforms import BUILDER

if TYPE_CHECKING:
    from collections.abc import Sequence

PATH = ldcache.PATH


def entries(data: bytes) -> list[tuple[str, str]]:
    """Return ``(name, path)`` of this machine's libraries in a cache, best first for each name.

    Args:
        data: the file; what is none, or a damaged one, has no libraries.
    """
    try:
        found = ldcache.libraries(data)
    except ldcache.NotACacheError:
        return []
    return [(one.name, one.path) for one in found if one.flags == BUILDER.linker_flags]


def with_libraries(data: bytes, added: Sequence[tuple[str, str]]) -> bytes:
    """Return a cache that has these libraries as well; they are found before others of the same names.

    Args:
        data: the image's cache; one that cannot be read gives way to one with the new libraries alone, and
            the linker then looks for all others where it does without a cache.
        added: ``(soname, path)``.
    """
    try:
        old = ldcache.read(data)
    except ldcache.NotACacheError:
        old = ldcache.Cache()
    new = (ldcache.Library(name, path, BUILDER.linker_flags) for name, path in added)
    return ldcache.write(ldcache.Cache((*new, *old.libraries), old.generator, old.hwcaps))
