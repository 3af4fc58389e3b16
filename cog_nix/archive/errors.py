"""What keeps an archive from being used."""

from __future__ import annotations

from cog_nix.errors import FetchError


class UnusableArchiveError(FetchError):
    """An archive of inputs cannot be read or written.

    Args:
        title: what people know it by.
        reason: why not, in a few words.
        hint: what to do next.
    """

    def __init__(self, title: str, reason: str, *, hint: str = "") -> None:
        super().__init__(hint=hint or "Make another one:  cog-nix archive DESTINATION")
        self.title, self.reason = title, reason

    def __str__(self) -> str:
        return f"{self.title} cannot be used as an archive: {self.reason}"
