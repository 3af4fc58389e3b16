"""What the containers of every runtime have in common, and how starting one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from cog_nix.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK = "127.0.0.1"
SHARED_MEMORY = 6 << 30
"""Bytes of ``/dev/shm``, as upstream gives: PyTorch's data loaders exceed Docker's 64 MB."""


class ContainerStartError(RuntimeFailure):
    """A container was not started.

    Args:
        said: what whoever was to start it said.
        hint: what to do next.
    """

    def __init__(self, said: str, *, hint: str = "") -> None:
        super().__init__(f"Failed to start container: {said}", hint=hint)
        self.said = said


class NoProgramError(ContainerStartError):
    """The image does not have the program that was to run."""

    def __init__(self, program: str, said: str) -> None:
        hint = f"Is {program} in the image? Programs come with system_packages and python_packages."
        super().__init__(said, hint=hint)
        self.program = program


class HookFailedError(ContainerStartError):
    """A hook failed while a container started (OCI runtime specification, "POSIX-platform Hooks")."""


class PortInUseError(ContainerStartError):
    """Something listens on a port of this machine that was to be published."""

    def __init__(self, said: str) -> None:
        super().__init__(said, hint="Choose another port.")


class StillRunningError(RuntimeFailure):
    """A container's end was waited for, and did not come in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The container still runs after {seconds:g} seconds.")
        self.seconds = seconds


class NotSignalledError(RuntimeFailure):
    """A signal did not reach a container's main process.

    Args:
        name: of the signal.
        reason: why, as whoever was to send it says.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__()
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"{self.name} did not reach the container: {self.reason}"


class ContainerGoneError(RuntimeFailure):
    """A container cannot be asked any more: it was removed by somebody else.

    Args:
        said: what its runtime says.
    """

    def __init__(self, said: str) -> None:
        super().__init__(hint="Something else has removed it. Run the same command again.")
        self.said = said

    def __str__(self) -> str:
        return f"The container is gone: {self.said}"


class NotInteractiveError(RuntimeFailure):
    """Streams are to be connected to a container that was started without any."""

    def __str__(self) -> str:
        return "The container was not started as an interactive one."


class BaseContainer:
    """A container that is removed when its context is left.

    Args:
        port: where this machine reaches port 5000 of it; None: that is not published.
        remove: stops and removes it.
    """

    def __init__(self, port: int | None, remove: Callable[[], None]) -> None:
        self._port, self._remove_once = port, remove

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``.

        Raises:
            RuntimeFailure: port 5000 is not published.
        """
        if self._port is None:
            raise RuntimeFailure("The container does not publish port 5000.")
        return f"http://{LOOPBACK}:{self._port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._remove_once()
