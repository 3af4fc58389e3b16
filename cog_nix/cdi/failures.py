"""What keeps devices of this machine out of a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

REMEDY = (
    "Write the specification again:  sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml "
    "(after each change of the driver)."
)
"""What fixes a specification of NVIDIA's devices that does not fit this machine."""
_SHOWN = 3


class CdiError(RuntimeFailure):
    """A specification is wrong, or does not have what is asked for."""


class SpecificationError(CdiError):
    """A file is not a specification.

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


class UnknownDeviceError(CdiError):
    """What is asked for is not on this machine.

    Args:
        what: as messages call it: ``device``, ``GPU``.
        names: what was asked for.
        hint: what there is.
        problems: what is wrong with specifications, which might have told more.
    """

    def __init__(self, what: str, names: Sequence[str], *, hint: str, problems: Sequence[str] = ()) -> None:
        super().__init__(hint=hint)
        self.what, self.names, self.problems = what, tuple(names), tuple(problems)

    def __str__(self) -> str:
        return "\n".join([f"This machine has no {self.what} {', '.join(self.names)}.", *self.problems])


class TooFewGpusError(CdiError):
    """More GPUs are asked for than this machine has."""

    def __init__(self, wanted: int, found: int) -> None:
        super().__init__(hint="Ask for fewer, or for all of them:  --gpus all")
        self.wanted, self.found = wanted, found

    def __str__(self) -> str:
        return f"{self.wanted} GPUs are asked for, and this machine has {self.found}."


class AmbiguousDeviceError(CdiError):
    """Two files of a folder describe the same device."""

    def __init__(self, name: str, paths: Iterable[Path]) -> None:
        super().__init__(hint="Remove one of the files.")
        self.name, self.paths = name, tuple(paths)

    def __str__(self) -> str:
        return f"The device {self.name} is described twice, by {' and '.join(map(str, self.paths))}."


class DeviceFileError(CdiError):
    """A device's file is missing, or something else."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(hint=REMEDY)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"The device file {self.path} cannot be used: {self.reason}"


class UnknownHookError(CdiError):
    """A specification has a hook that nothing here can run."""

    def __init__(self, name: str, path: str, command: str) -> None:
        advice = f"Install {path}, and run containers with crun or runc (`sudo apt-get install crun`)."
        super().__init__(hint=advice)
        self.name, self.command = name, command

    def __str__(self) -> str:
        return f"The device specification has a {self.name} hook that cannot be run here: {self.command}"


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
