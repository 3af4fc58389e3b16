"""What keeps devices of this machine out of a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

REMEDY = (
    "Write the specification anew:  sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml "
    "(after each change of the driver)."
)
"""What fixes a specification of NVIDIA's devices that does not fit this machine."""
_SHOWN = 3


class CdiError(RuntimeFailure):
    """A specification is wrong, or does not have what is asked for."""


class SpecificationError(CdiError):
    """A file is no specification.

    Args:
        path: the file.
        problems: all that is wrong with it.
        hint: what to do next.
    """

    def __init__(self, path: Path, problems: Iterable[str], *, hint: str = "") -> None:
        super().__init__(hint=hint)
        self.path, self.problems = path, tuple(problems)

    def __str__(self) -> str:
        return "\n".join(f"{self.path}: {problem}" for problem in self.problems)


class MissingDeviceDriverError(RuntimeFailure):
    """There is no driver for the GPUs that were asked for, or the daemon has none.

    Args:
        message: what is missing.
        hint: what to do next.
        problems: what is wrong with specifications, which might have told more.
    """

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(
            "\n".join([message, *problems]),
            hint=hint or "Install NVIDIA's driver, or run without --gpus.",
        )
        self.problems = tuple(problems)


class MissingFilesError(MissingDeviceDriverError):
    """Specifications name files that are not on this machine."""

    def __init__(self, specifications: Iterable[Path], files: Sequence[str]) -> None:
        super().__init__("", hint=REMEDY)
        self.specifications, self.files = tuple(specifications), tuple(files)

    def __str__(self) -> str:
        named = ", ".join(map(str, self.specifications)) or "A specification"
        more = len(self.files) - _SHOWN
        shown = ", ".join(self.files[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        return f"{named} names what is not here: {shown}."
