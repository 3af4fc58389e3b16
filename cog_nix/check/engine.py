"""What a witness needs of whatever runs images: read an image, run it, look inside, stop it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cog_nix.plugins.spec import Runtime


class Running(Protocol):
    """A container of the image under test; leaving the context removes it."""

    @property
    def url(self) -> str:
        """Where the model's server answers.

        Raises:
            Broken: the container has ended.
        """

    def alive(self) -> bool:
        """Whether the main process still runs."""

    def run(self, command: str) -> tuple[int, str]:
        """Run a shell command inside; return its exit status, and stdout and stderr together."""

    def stop(self, signal: str, within: float) -> tuple[int | None, float]:
        """Send a signal and wait; return the exit status (None: it still runs) and the seconds it took."""

    def logs(self) -> str:
        """Return the last lines of what the container wrote."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Engine(Protocol):
    """What holds the image and runs it."""

    host: str
    """The name or address under which containers reach a listener on this machine."""
    address: str
    """Where on this machine that listener has to listen."""

    def inspect(self, reference: str) -> Mapping[str, Any]:
        """Return ``Config``, ``Os`` and ``Architecture`` of an image (Docker Engine API, "ImageInspect").

        Raises:
            CompatError: there is no such image.
        """

    def start(self, image: str, *, env: Mapping[str, str], command: Sequence[str] | None = None) -> Running:
        """Start a container whose port 5000 answers on loopback.

        Raises:
            Broken: it cannot be started.
        """


@contextmanager
def connect(runtime: Runtime | None = None) -> Iterator[Engine]:
    """Yield what runs the image.

    Args:
        runtime: one of cog-nix's; None: the Docker daemon that the environment names.

    Raises:
        CompatError: it does not answer.
    """
    # Each of them takes long to import, and only one is needed.
    if runtime is not None and runtime.name == "bundle":
        from cog_nix.check.daemonless import DaemonlessEngine  # noqa: PLC0415

        yield DaemonlessEngine(runtime)
        return
    from cog_nix.check.docker_engine import connected  # noqa: PLC0415

    with connected(runtime if runtime is not None and runtime.name == "podman" else None) as engine:
        yield engine
