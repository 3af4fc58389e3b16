"""The store of weights on this machine: upstream's folder and layout, so that both find each other's files.

::

    <root>/files/sha256/ab/abcdef…   a whole file; whoever finds it may trust it

A file appears under its name by a rename after its hash was checked.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cog_nix.errors import CogNixError
from cog_nix.system.files import UnwritableError, replacing
from cog_nix.weights.model import DIGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NO_HOME = "This user has no home folder, in HOME or in /etc/passwd, for weights."


class Hash(Protocol):
    """What a file is hashed with."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""

    def hexdigest(self) -> str:
        """Return the sha256 of all."""


class OtherContentError(CogNixError):
    """What was to be stored is not what was named."""

    def __init__(self, digest: str, size: int, got: tuple[str, int]) -> None:
        super().__init__(hint="It changes while it is read, or was changed: import it again.")
        self.digest, self.size, self.got = digest, size, got

    def __str__(self) -> str:
        return f"expected {self.digest}, {self.size} bytes; got {self.got[0]}, {self.got[1]} bytes"


@dataclass(frozen=True)
class WeightsStore:
    """Files by their sha256.

    Args:
        root: ``…/cog/weights``.
    """

    root: Path

    @property
    def files(self) -> Path:
        """The folder of files."""
        return self.root / "files" / "sha256"

    def path(self, digest: str) -> Path:
        """Return where the file of a digest lies, or would lie.

        Raises:
            ValueError: this is not a digest (``sha256:`` and 64 hexadecimal digits in lower case).
        """
        if not DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is not a sha256 digest")
        name = digest.removeprefix("sha256:")
        return self.files / name[:2] / name

    def held(self, digest: str, size: int) -> Path | None:
        """Return the path of a file that is there in its full size (bytes), or None."""
        path = self.path(digest)
        try:
            return path if path.stat().st_size == size else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def put(self, digest: str, size: int, chunks: Iterable[bytes], found: Hash | None = None) -> Path:
        """Store a file, unless it is other than it should be.

        Args:
            digest: ``sha256:…`` that it has to have.
            size: bytes that it has to have.
            chunks: its contents.
            found: what to hash it with, where more than the hash is wanted.

        Raises:
            OtherContentError: it is another file; nothing is stored.
            UnwritableError: the store cannot be written to.
        """
        path = self.path(digest)
        found = found or hashlib.sha256()
        written = 0
        try:
            with replacing(path) as stream:
                for chunk in chunks:
                    found.update(chunk)
                    written += stream.write(chunk)
                got = f"sha256:{found.hexdigest()}", written
                if got != (digest, size):
                    raise OtherContentError(digest, size, got)
        except OSError as error:
            raise UnwritableError(path, error) from error
        return path


def default_store(environ: Mapping[str, str] = os.environ) -> WeightsStore:
    """Return this user's store, which is where upstream has it.

    ``$COG_CACHE_DIR/weights``, else ``$XDG_CACHE_HOME/cog/weights``, else ``~/.cache/cog/weights``.

    Raises:
        CogNixError: there is no home folder, and nothing names another.
    """
    if named := environ.get("COG_CACHE_DIR"):
        return WeightsStore(Path(named).absolute() / "weights")
    if named := environ.get("XDG_CACHE_HOME"):
        return WeightsStore(Path(named).absolute() / "cog" / "weights")
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - stays "~" where there is none
    if not home.is_absolute():
        raise CogNixError(_NO_HOME, hint="Name a folder in COG_CACHE_DIR.")
    return WeightsStore(home / ".cache" / "cog" / "weights")
