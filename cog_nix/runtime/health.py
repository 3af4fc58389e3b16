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
            raise _failure(status, str(health["setup"].get("logs", "")))
        if health is None and not container.alive():
            raise RuntimeFailure(
                f"Container exited unexpectedly with status {container.wait(5)}{_indented(container.logs())}",
                hint="The image must run Cog's HTTP server as its command; its output says why it stopped.",
            )
        if time.monotonic() >= deadline:
            raise RuntimeFailure(
                f"Timed out: the model was not ready after {timeout:g} seconds",
                hint="If setup() needs longer, for example to load weights, raise --setup-timeout.",
            )
        time.sleep(POLL_SECONDS)


def _failure(status: str, logs: str) -> RuntimeFailure:
    if status == "SETUP_FAILED":
        return RuntimeFailure(
            f"Model setup failed{_indented(logs)}",
            hint="Correct the predictor's setup() and run the command again.",
        )
    return RuntimeFailure(f"Container healthcheck returned unexpected status: {status}{_indented(logs)}")


def _indented(text: str) -> str:
    lines = text.strip().splitlines()
    return ":\n\n" + "\n".join(f"    {line}" for line in lines) if lines else ""
