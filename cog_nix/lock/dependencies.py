"""What packages depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence


def with_dependencies(
    names: Iterable[str], depends: Mapping[str, Sequence[str]], left_out: Collection[str] = ()
) -> set[str]:
    """Return packages and all that they depend on, directly or not.

    Args:
        names: some packages.
        depends: what each depends on; others on nothing.
        left_out: names that are not followed.
    """
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found and name not in left_out:
            found.add(name)
            pending += depends.get(name, ())
    return found
