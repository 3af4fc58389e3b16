"""How looking for an image fails, whatever holds images."""

from __future__ import annotations

from cog_nix.errors import ImageError


class ImageNotHeldError(ImageError):
    """A runtime does not have an image.

    Args:
        runtime: what messages call it.
        reference: the image's name.
        hint: where it comes from.
    """

    def __init__(self, runtime: str, reference: str, *, hint: str) -> None:
        super().__init__(hint=hint)
        self.runtime, self.reference = runtime, reference

    def __str__(self) -> str:
        return f"{self.runtime} holds no image {self.reference}."


class ImageNotPulledError(ImageError):
    """An image cannot be fetched from its registry.

    Args:
        reference: the image's name.
        reason: what was answered.
        hint: what to do next.
    """

    def __init__(self, reference: str, reason: str, *, hint: str) -> None:
        super().__init__(hint=hint)
        self.reference, self.reason = reference, reason

    def __str__(self) -> str:
        return f"failed to pull image {self.reference}: {self.reason}"
