"""Where a file may come from beside its own URL, and what is said when it comes from nowhere.

The order is: the cache, each :class:`Supplier`, the file's URL, each :class:`Alternative`. The sha256
decides, so it does not matter who serves a file. See docs/design/origins.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cog_nix.errors import FetchError
from cog_nix.fetch import urls
from cog_nix.fetch.failures import (
    StatusError,
    UnreachableError,
    UntrustedError,
    UnusableUrlError,
    WrongFileError,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from cog_nix.fetch.store import Store
    from cog_nix.lock.model import Artifact

_SHOWN = 8
"""Files that a message names."""
_DETAILED = 3
"""Files of which it says what was tried: with so many, the others are like them."""
_GONE = (404, 410)
ANEW = "cog-nix lock --upgrade"
"""Takes what there is today instead of what was locked."""


@dataclass(frozen=True)
class Alternative:
    """Another place where a file may be."""

    url: str
    title: str
    """What it is, for messages: ``the mirror of this machine's apt sources``."""
    gentle: bool = False
    """Whether it is a service that many share: one request at a time, and all the patience it asks for."""
    of_commit: bool = False
    """Whether a commit's files are there, of which its archive is made (:mod:`cog_nix.fetch.commits`)."""


Elsewhere = Callable[[Sequence["Artifact"]], Mapping[str, Sequence[Alternative]]]
"""Names other places for files, by sha256, in the order in which they are to be asked."""


class Supplier(Protocol):
    """Holds files by their hash: an archive of inputs, a binary cache."""

    def supply(self, wanted: Sequence[Artifact], store: Store) -> Collection[str]:
        """Bring those files into the cache that are held; return their sha256s.

        Raises:
            FetchError: what holds them cannot be read.
        """


@dataclass(frozen=True)
class Attempt:
    """A place that was asked for a file in vain."""

    title: str
    """What it is; "" for the file's own URL."""
    url: str
    failure: FetchError

    def __str__(self) -> str:
        where = urls.shown(self.url)
        return f"{f'{self.title}: ' if self.title else ''}{where}\n      {_said(self.failure)}"


class NowhereError(FetchError):
    """Files that no place gives.

    Args:
        tried: what was asked for each, in order.
    """

    def __init__(self, tried: Mapping[Artifact, Sequence[Attempt]]) -> None:
        self.tried = {artifact: tuple(attempts) for artifact, attempts in tried.items()}
        super().__init__(hint=self._advice())

    @property
    def offline(self) -> bool:
        """Whether no place answered at all."""
        return all(
            isinstance(one.failure, UnreachableError) for found in self.tried.values() for one in found
        )

    def __str__(self) -> str:
        count = len(self.tried)
        files = f"{count} files" if count > 1 else next(iter(self.tried)).filename
        lines = [f"cannot fetch {files}; asked for, in this order:"]
        for number, (artifact, attempts) in enumerate(list(self.tried.items())[:_SHOWN]):
            lines.append(f"  {artifact.filename}  sha256 {artifact.sha256}")
            lines += [f"    {one}" for one in attempts] if number < _DETAILED else []
        if count > _SHOWN:
            lines.append(f"  and {count - _SHOWN} more")
        return "\n".join(lines)

    def _advice(self) -> str:
        own = [attempts[0].failure for attempts in self.tried.values()]
        if self.offline:
            return own[0].hint
        if barred := [failure for failure in own if not _is_gone(failure)]:
            return barred[0].hint
        return (
            "If somebody has an archive of what this lock names:  cog-nix build --from ARCHIVE\n"
            f"To lock what there is today instead:  {ANEW}"
        )


def _is_gone(failure: FetchError) -> bool:
    """Whether a file is where it was no more; other failures have a remedy of their own."""
    if isinstance(failure, StatusError):
        return failure.status in _GONE
    return isinstance(failure, UnreachableError | WrongFileError)


def _said(failure: FetchError) -> str:
    """Return what a place answered, without what was asked for."""
    match failure:
        case StatusError():
            return f"answered {failure.status} {failure.phrase}".rstrip()
        case UnreachableError() | UnusableUrlError():
            return failure.reason
        case UntrustedError():
            return f"its certificate is not trusted: {failure.reason}"
        case WrongFileError():
            return f"{failure.what}: {failure.got}"
        case _:
            return failure.message.replace("\n", "\n      ")
