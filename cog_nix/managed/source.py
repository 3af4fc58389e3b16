"""Where the files of a weight come from: what every kind of source has in common."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cog_nix.errors import ConfigError
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.fetch.urls import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.report import Bar, Reporter
    from cog_nix.weights.model import File, LockedLayer, LockedWeight
    from cog_nix.weights.store import WeightsStore

WORKERS = 8
"""Downloads at once."""


class SourceError(ConfigError):
    """A source of a weight cannot be imported.

    Args:
        uri: which.
        reason: why.
        hint: what to do next.
    """

    def __init__(self, uri: str, reason: str, *, hint: str) -> None:
        super().__init__(hint=hint)
        self.uri, self.reason = uri, reason

    def __str__(self) -> str:
        return f"cannot import {shown(self.uri)}: {self.reason}"


@dataclass(frozen=True)
class Listed:
    """A file that a source offers."""

    path: str
    size: int
    digest: str = ""
    """"": nobody knows before it was read."""


@dataclass(frozen=True)
class Inventory:
    """What a source offers now."""

    files: tuple[Listed, ...]
    """By path."""
    fingerprint: str
    """Its version, as the lock has it."""


@dataclass(frozen=True)
class Surroundings:
    """What importing and pulling work with."""

    store: WeightsStore
    reporter: Reporter
    environ: Mapping[str, str]
    """``HF_ENDPOINT``, ``HF_TOKEN`` and others."""
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    cancelled: threading.Event = field(default_factory=threading.Event)
    key: str = "`source` in cog.yaml"
    """What to correct where a source is wrong."""


class Source(Protocol):
    """Files that can be imported."""

    def inventory(self, known: LockedWeight | None) -> Inventory:
        """Return what there is.

        Args:
            known: the weight as it was imported before, whose digests may be had without reading.

        Raises:
            CogNixError: the source cannot be read.
        """

    def complete(self, files: Sequence[Listed], known: LockedWeight | None) -> list[File]:
        """Return files with their digests; what has to be read for that is in the store then.

        Raises:
            CogNixError: the source cannot be read.
        """

    def bring(self, files: Sequence[File], bar: Bar) -> dict[File, LockedLayer]:
        """Put files into the store that it lacks.

        Returns:
            The plain layers that hold one file each, where they came without reading the file again.

        Raises:
            CogNixError: a file cannot be had, or is another one than the inventory says.
        """
