"""Remembers which repositories of a registry hold a blob, so that others can mount it from there.

A registry cannot be asked for this. What is remembered may be wrong by now; then nothing is mounted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cog_nix.system import jsonvalue
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cog_nix.registry.reference import Reference

_MOST = 20_000
"""Digests a registry; the oldest are forgotten."""
_EACH = 2
"""Repositories a blob: a mount that fails costs a request."""


@dataclass(frozen=True)
class Memory:
    """What was pushed to one registry from here.

    Args:
        cache: folder of the user's caches.
        registry: which.
    """

    cache: Path
    registry: str

    @property
    def _path(self) -> Path:
        return self.cache / "registries" / f"{self.registry.replace(':', '_')}.json"

    def sources(self, digest: str, repository: str) -> tuple[str, ...]:
        """Return the other repositories that hold a blob, the latest first."""
        return tuple(one for one in self._known.get(digest, []) if one != repository)[:_EACH]

    def add(self, reference: Reference, digests: Iterable[str]) -> None:
        """Remember that a repository holds these blobs. A cache that cannot be written changes nothing."""
        known = self._read()
        for digest in digests:
            others = [one for one in known.pop(digest, []) if one != reference.repository]
            known[digest] = [reference.repository, *others][: _EACH + 1]
        kept = dict(list(known.items())[-_MOST:])
        write_atomically(self._path, json.dumps(kept).encode())

    @cached_property
    def _known(self) -> dict[str, list[str]]:
        """What was remembered when it was first asked for."""
        return self._read()

    def _read(self) -> dict[str, list[str]]:
        try:
            value = jsonvalue.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        known = value.items() if isinstance(value, dict) else ()
        return {digest: list(map(str, places)) for digest, places in known if isinstance(places, list)}
