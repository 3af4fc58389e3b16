"""What a witness needs of a runtime: read an image, run it, look inside, stop it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from cog_nix.check.case import CompatError
from cog_nix.check.result import Broken
from cog_nix.errors import CogNixError, RuntimeFailure
from cog_nix.plugins.manager import find_runtime
from cog_nix.plugins.spec import ContainerRequest, ExaminedContainer, ExaminedRuntime
from cog_nix.report import SilentReporter
from cog_nix.runtime.session import start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.plugins.spec import Container, Runtime

_BESIDE = "host.docker.internal"
_POLL_SECONDS = 0.05
_TAIL_LINES = 20


class Engine:
    """Runs the image under test.

    Args:
        runtime: one of cog-nix's; None: Docker.

    Raises:
        CompatError: it cannot be used, or lets nobody look into its containers.
    """

    def __init__(self, runtime: Runtime | None) -> None:
        runtime = runtime or find_runtime("docker")
        if (why := runtime.available()) is not None:
            raise CompatError(why, hint="Start it, or choose another --runtime.")
        if not isinstance(runtime, ExaminedRuntime):
            raise CompatError(
                f"The runtime {runtime.name} does not allow looking into its images and containers.",
                hint="Choose another --runtime.",
            )
        self._runtime = runtime
        self.address = runtime.listening_address()
        """Where on this machine a listener has to listen that containers reach."""
        self.host = self.address if runtime.shares_network else _BESIDE
        """The name or address under which they reach it."""

    def inspect(self, reference: str) -> Mapping[str, Any]:
        """Return ``Config``, ``Os`` and ``Architecture`` of an image (Docker Engine API, "ImageInspect").

        Raises:
            CompatError: there is no such image.
        """
        try:
            attributes: Mapping[str, Any] = self._runtime.image_attributes(reference)
        except CogNixError as error:
            raise CompatError(error.message, hint=error.hint) from error
        return attributes

    def start(
        self,
        image: str,
        *,
        env: Mapping[str, str],
        command: Sequence[str] | None = None,
        gpus: str | None = None,
        sealed: bool = False,
    ) -> Running:
        """Start a container whose port 5000 answers on loopback; ``all`` GPUs may be none.

        Args:
            image: its reference.
            env: variables.
            command: in place of the image's.
            gpus: as Docker's ``--gpus``.
            sealed: whether nothing but /tmp can be written to.

        Raises:
            Broken: it cannot be started.
        """
        words = tuple(command) if command is not None else None
        request = ContainerRequest(image, env=env, gpus=gpus, command=words, reach_host=True, sealed=sealed)
        try:
            container = start(self._runtime, request, SilentReporter())
        except RuntimeFailure as error:
            raise Broken(f"it cannot be started: {error}") from error
        return Running(container)


class Running:
    """A container of the image under test; leaving the context removes it."""

    def __init__(self, container: Container) -> None:
        self._container = container

    @property
    def url(self) -> str:
        """Where the model's server answers.

        Raises:
            Broken: the container has ended.
        """
        if not self.alive():
            raise Broken(f"the container does not run; it wrote: {self.logs()[-400:]}")
        return self._container.url

    def alive(self) -> bool:
        """Whether the main process still runs."""
        return self._container.alive()

    def run(self, command: str) -> tuple[int, str]:
        """Run a shell command inside; return its exit status, and stdout and stderr together."""
        if not isinstance(self._container, ExaminedContainer):
            raise CompatError("Nothing can be run in this container.", hint="Choose another --runtime.")
        try:
            return self._container.run(["/bin/sh", "-c", command])
        except RuntimeFailure as error:
            raise Broken(str(error)) from error

    def stop(self, signal: str, within: float) -> tuple[int | None, float]:
        """Send a signal and wait; return the exit status (None: it still runs) and the seconds it took."""
        begun = time.monotonic()
        status = None
        with suppress(RuntimeFailure):  # it has ended already
            self._container.signal(signal)
        while status is None and time.monotonic() - begun < within:
            if self.alive():
                time.sleep(_POLL_SECONDS)
            else:
                status = self._container.wait(within)
        return status, time.monotonic() - begun

    def logs(self) -> str:
        """Return the last lines of what the container wrote."""
        return "\n".join(self._container.logs().splitlines()[-_TAIL_LINES:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._container.__exit__(*exc)
