"""Waits for a started model to become ready."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.client import ModelClient

if TYPE_CHECKING:
    from cog_nix.plugins.spec import Container

POLL_SECONDS = 0.05
_WAITING = ("UNKNOWN", "STARTING")
_READY = ("READY", "BUSY")


class ContainerExitedError(RuntimeFailure):
    """The container ended before the model was ready."""

    def __init__(self, status: int, logs: str) -> None:
        super().__init__(
            hint="The image must run Cog's HTTP server as its command; its output says why it stopped."
        )
        self.status, self.logs = status, logs

    def __str__(self) -> str:
        return f"Container exited unexpectedly with status {self.status}{_indented(self.logs)}"


class SetupFailedError(RuntimeFailure):
    """The model is not ready, and will not be: its health says so."""

    def __init__(self, status: str, logs: str) -> None:
        failed = status == "SETUP_FAILED"
        super().__init__(hint="Correct the predictor's setup() and run the command again." if failed else "")
        self.status, self.logs = status, logs

    def __str__(self) -> str:
        unexpected = f"Container healthcheck returned unexpected status: {self.status}"
        what = "Model setup failed" if self.status == "SETUP_FAILED" else unexpected
        return f"{what}{_indented(self.logs)}"


class NotReadyError(RuntimeFailure):
    """The model took too long to become ready."""

    def __init__(self, seconds: float) -> None:
        super().__init__(hint="If setup() needs longer, for example to load weights, raise --setup-timeout.")
        self.seconds = seconds

    def __str__(self) -> str:
        return f"Timed out: the model was not ready after {self.seconds:g} seconds"


def wait_until_ready(container: Container, timeout: float) -> None:
    """Return when the model has run its ``setup()``.

    The server answers from the start: ``/health-check`` says ``STARTING``, then ``READY`` or
    ``SETUP_FAILED``.

    Args:
        container: the running image.
        timeout: seconds to wait.

    Raises:
        RuntimeFailure: setup failed, the container died, or it took too long.
    """
    client = ModelClient(container.url)
    deadline = time.monotonic() + timeout
    while True:
        health = client.health()
        status = health["status"] if health else "UNKNOWN"
        if health and status in _READY:
            return
        if health and status not in _WAITING:
            raise SetupFailedError(status, str(health["setup"].get("logs", "")))
        if health is None and not container.alive():
            raise ContainerExitedError(container.wait(5), container.logs())
        if time.monotonic() >= deadline:
            raise NotReadyError(timeout)
        time.sleep(POLL_SECONDS)


def _indented(text: str) -> str:
    lines = text.strip().splitlines()
    return ":\n\n" + "\n".join(f"    {line}" for line in lines) if lines else ""
