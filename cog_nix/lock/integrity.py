"""Whether a lock is as cog-nix wrote it: a digest of each of its parts, in the lock itself.

It is no signature: whoever can edit a lock can write another digest. It makes that an edit, a formatter or a
merge that goes through without a conflict is noticed, and by which part. What no lock may hold, whoever wrote
it, is :mod:`cog_nix.lock.validity`'s.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cog_nix.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.lock.model import Lock

KEY = "integrity"
_BESIDE = frozenset({KEY, "version"})
_DERIVED = frozenset(
    {"environment", "facts", "inputs", "labels", "layers", "libraries", "linked", "links", "programs"}
)
_DERIVED_AND_KEPT = frozenset({"reasons", "runs"})
"""What follows from the rest as well; resolving reads it where it is there."""


class EditedLockError(LockError):
    """Something else than cog-nix wrote a lock.

    Args:
        name: the lock's file.
        fields: the parts that are not as they were written.
        lock: what it says.
    """

    def __init__(self, name: str, fields: Sequence[str], lock: Lock) -> None:
        self._fields, self._lock = frozenset(fields), lock
        again = "" if self.trusted else " --upgrade"
        effect = "make them again" if self.trusted else "resolve all of it again"
        super().__init__(
            f"{name} is not as cog-nix wrote it: {', '.join(fields)} changed by hand, or in a merge.",
            hint=f"To have back what was locked:  git checkout -- {name}\nTo {effect}:  cog-nix lock{again}",
        )

    @property
    def trusted(self) -> Lock | None:
        """The lock without what was changed, which resolving makes anew; None: pins were changed."""
        if self._fields - _DERIVED - _DERIVED_AND_KEPT:
            return None
        kept = dict.fromkeys(self._fields & _DERIVED_AND_KEPT, ())
        return replace(self._lock, inputs="", **kept)  # type: ignore[arg-type]


def digests(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of each part of a lock.

    Args:
        data: what its JSON says. How it is laid out, and in what order keys stand, makes no difference.
    """
    return {name: _digest(data[name]) for name in sorted(data) if name not in _BESIDE}


def changed(data: Mapping[str, Any]) -> list[str]:
    """Return the parts of a lock that its digests do not fit: changed, added or removed.

    Args:
        data: what its JSON says.

    Raises:
        KeyError: it has no digests.
        TypeError: they are something else.
    """
    written, found = data[KEY], digests(data)
    if not isinstance(written, dict):
        raise TypeError(f"{KEY} {written!r:.80} is not a table of digests")
    return sorted(name for name in {*written, *found} if written.get(name) != found.get(name))


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
