"""What keeps an image from being pushed or pulled, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cog_nix.errors import RegistryError

if TYPE_CHECKING:
    from cog_nix.registry.credentials import Credentials
    from cog_nix.registry.reference import Reference

NOT_FOUND = 404
Purpose = Literal["push", "pull"]


class RefusedError(RegistryError):
    """A request failed.

    Args:
        reference: the repository that it was about.
        request: method and what was asked for, ``PUT manifests/latest``.
        answer: status (HTTP) and its phrase.
        said: what the registry says of it, or "".
        purpose: what was to be done.
    """

    def __init__(
        self, reference: Reference, request: str, answer: tuple[int, str], said: str, purpose: Purpose
    ) -> None:
        self.reference, self.request, self.phrase, self.said = reference, request, answer[1], said
        hint = f"Ask whoever runs {reference.registry}."
        if answer[0] == NOT_FOUND:
            hint = "Check the name and the tag."
            if purpose == "push":
                hint = (
                    "Check the name of the repository, and whether the registry creates new ones by itself."
                )
        super().__init__(hint=hint, status=answer[0])

    def __str__(self) -> str:
        where = f"{self.reference.registry} refused {self.request} of {self.reference.repository}"
        return f"{where}: {self.status} {self.phrase}" + (f"\n  {self.said}" if self.said else "")


class LoginError(RegistryError):
    """Credentials are missing, or are not enough."""

    def __init__(self, registry: str, credentials: Credentials, status: int, purpose: Purpose) -> None:
        self.registry, self.known, self.purpose = registry, bool(credentials), purpose
        self.username = credentials.username
        hint = f"Log in with: cog-nix login {registry}"
        if self.known:
            right = "the repository is yours" if purpose == "push" else "you may read the repository"
            hint = f"Check that {right}, and log in again with: cog-nix login {registry}"
        super().__init__(hint=hint, status=status)

    def __str__(self) -> str:
        who = f" as {self.username}" if self.username else ""
        if self.known:
            return f"{self.registry} does not let you {self.purpose} here{who} ({self.status})"
        asks = f"{self.registry} wants to know who you are ({self.status})"
        return f"{asks}, and Docker's configuration does not say"


class RegistryUnreachableError(RegistryError):
    """A registry does not answer, or keeps failing."""

    def __init__(self, registry: str, purpose: Purpose, reason: str, attempts: int) -> None:
        kept = "What was uploaded is there" if purpose == "push" else "What has come is kept"
        hint = f"Check that {registry} can be reached from here. {kept}: run this again."
        super().__init__(hint=hint)
        self.registry, self.purpose, self.reason, self.attempts = registry, purpose, reason, attempts

    def __str__(self) -> str:
        direction = "to" if self.purpose == "push" else "from"
        tries = f"(after {self.attempts} attempts)"
        return f"cannot {self.purpose} {direction} {self.registry} {tries}: {self.reason}"


class UntrustedRegistryError(RegistryError):
    """The certificate of a registry is not trusted."""

    def __init__(self, registry: str, reason: str) -> None:
        hint = "Set COG_CA_CERT to a file with your organisation's certificate authorities (PEM)."
        super().__init__(hint=hint)
        self.registry, self.reason = registry, reason

    def __str__(self) -> str:
        return f"the certificate of {self.registry} is not trusted\n  {self.reason}"


class UnusableAnswerError(RegistryError):
    """A registry, or its token server, answers something that cannot be used."""

    def __init__(self, who: str, what: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(hint=hint or f"Ask whoever runs {who}.", status=status)
        self.who, self.what = who, what

    def __str__(self) -> str:
        return f"{self.who} {self.what}"


class NotPulledError(RegistryError):
    """A reference stands for no image that can be had."""

    def __init__(
        self, reference: Reference, reason: str, *, hint: str = "Check the name and the tag."
    ) -> None:
        super().__init__(hint=hint)
        self.reference, self.reason = reference, reason

    def __str__(self) -> str:
        return f"{self.reference} cannot be pulled: {self.reason}"


class MissingBlobsError(RegistryError):
    """A registry does not hold what it was said to hold.

    Args:
        digests: of the blobs, which are not here either.
    """

    def __init__(self, digests: tuple[str, ...]) -> None:
        super().__init__(hint="Push again: the image is then built whole.")
        self.digests = digests

    def __str__(self) -> str:
        count = len(self.digests)
        return f"The registry lacks {count} layer{'s' * (count > 1)} that it held a moment ago."
