"""One model, started for as long as it is needed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from cog_nix.cdi.failures import MissingDeviceDriverError
from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.health import wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cog_nix.plugins.spec import Container, ContainerRequest, Runtime
    from cog_nix.report import Reporter


def require(runtime: Runtime) -> None:
    """Refuse to go on without a usable runtime.

    Raises:
        RuntimeFailure: it cannot be used, and why.
    """
    if why := runtime.available():
        raise RuntimeFailure(
            why,
            hint=f"Install or start {runtime.name}, make sure you may use it, or choose another --runtime.",
        )


@contextmanager
def running_model(
    runtime: Runtime,
    request: ContainerRequest,
    *,
    setup_timeout: float,
    log: Callable[[str], None],
    reporter: Reporter,
) -> Iterator[Container]:
    """Start a model, wait until it is ready, and remove it afterwards, whatever happens.

    Args:
        runtime: what runs it.
        request: what to run.
        setup_timeout: seconds that ``setup()`` may take.
        log: called with each line that the container writes.
        reporter: told when the machine has no GPU driver.

    Yields:
        The running container.

    Raises:
        RuntimeFailure: it does not start or does not become ready.
    """
    with start(runtime, request, reporter) as container:
        container.follow_logs(log)
        wait_until_ready(container, setup_timeout)
        yield container


def start(runtime: Runtime, request: ContainerRequest, reporter: Reporter) -> Container:
    """Start a container; without GPUs where the machine has none and nobody named some.

    Raises:
        MissingDeviceDriverError: named GPUs are asked for, and there is no driver for them.
        RuntimeFailure: it cannot be started.
    """
    try:
        return runtime.start(request)
    except MissingDeviceDriverError as error:
        # `all` is what a project with `gpu: true` gets unasked; who names devices wants to hear about it.
        if request.gpus != "all":
            raise
        reporter.warn("Missing device driver, re-trying without GPU")
        reporter.info(error.message)
        return runtime.start(replace(request, gpus=None))
