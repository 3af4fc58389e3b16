"""The daemonless runtime, as far as a witness needs it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, cast

from cog_nix.check.case import CompatError
from cog_nix.check.result import Broken
from cog_nix.errors import CogNixError, RuntimeFailure
from cog_nix.plugins.spec import ContainerRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.plugins.spec import Runtime
    from cog_nix_hooks.bundle.container import BundleContainer
    from cog_nix_hooks.bundle.runtime import BundleRuntime

_LOOPBACK = "127.0.0.1"
_TAIL = 20


class DaemonlessEngine:
    """Starts containers that have this machine's network."""

    host = _LOOPBACK
    address = _LOOPBACK

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = cast("BundleRuntime", runtime)

    def inspect(self, reference: str) -> Mapping[str, Any]:
        """Return what is known of an image, in Docker's words; see :class:`cog_nix.check.engine.Engine`."""
        try:
            image = self._runtime.find(reference)
        except CogNixError as error:
            raise CompatError(error.message, hint=error.hint) from error
        system, _, architecture = image.platform.partition("/")
        return {"Id": image.id, "Config": image.config, "Os": system, "Architecture": architecture}

    def start(
        self, image: str, *, env: Mapping[str, str], command: Sequence[str] | None = None
    ) -> DaemonlessRunning:
        """Start a container; see :class:`cog_nix.check.engine.Engine`."""
        words = tuple(command) if command is not None else None
        try:
            return DaemonlessRunning(self._runtime.start(ContainerRequest(image, env=env, command=words)))
        except RuntimeFailure as error:
            raise Broken(f"it cannot be started: {error}") from error


class DaemonlessRunning:
    """A container of the image under test; leaving the context removes it."""

    def __init__(self, container: BundleContainer) -> None:
        self._container = container

    @property
    def url(self) -> str:
        """Where the model's server answers."""
        if not self.alive():
            raise Broken(f"the container does not run; it wrote: {self.logs()[-400:]}")
        return self._container.url

    def alive(self) -> bool:
        """Whether the main process still runs."""
        return self._container.alive()

    def run(self, command: str) -> tuple[int, str]:
        """Run a shell command inside; return its exit status, and stdout and stderr together."""
        try:
            return self._container.run(["/bin/sh", "-c", command])
        except RuntimeFailure as error:
            raise Broken(str(error)) from error

    def stop(self, signal: str, within: float) -> tuple[int | None, float]:
        """Send a signal and wait; return the exit status (None: it still runs) and the seconds it took."""
        begun = time.monotonic()
        status = None
        with suppress(RuntimeFailure):  # it still runs
            self._container.signal(signal)
            status = self._container.wait(within)
        return status, time.monotonic() - begun

    def logs(self) -> str:
        """Return the last lines of what the container wrote."""
        return "\n".join(self._container.logs().splitlines()[-_TAIL:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._container.__exit__(*exc)
