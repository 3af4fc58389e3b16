"""Where cases are tried: the image, the inputs, the listener and the container that they share."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import httpx

from cog_nix.check import inputs
from cog_nix.check.case import ContainerSettings
from cog_nix.check.result import Broken, NotApplicable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cog_nix.check.engine import Engine, Running
    from cog_nix.check.listener import Listener
    from cog_nix.check.subject import Image

SETUP_SECONDS = 600.0
ANSWER_SECONDS = 300.0
POLL_SECONDS = 0.05


@dataclass
class Bench:
    """Everything that the cases of one run share."""

    engine: Engine
    image: Image
    listener: Listener
    given: Mapping[str, str]
    env: Mapping[str, str] = field(default_factory=dict)
    """What every container has in its environment, beside what a case wants."""
    _shared: Running | None = None
    _input: dict[str, Any] | None = None
    _unusable: str = ""
    _silent: str = ""
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @contextlib.contextmanager
    def container(self, settings: ContainerSettings | None) -> Iterator[Running]:
        """Yield a container of its own, or the shared one, once it is as healthy as it should be.

        Raises:
            Broken: it does not get there.
        """
        if settings is None:
            yield self._shared_container()
            return
        if self._silent and settings.wait == "READY" and settings.command is None:
            raise Broken(self._silent)
        with self.start(settings) as running:
            yield running

    def start(self, settings: ContainerSettings) -> Running:
        """Start a container of the image and wait for it; the caller closes it."""
        env = {**self.env, **settings.env}
        running = self.engine.start(
            self.image.reference, env=env, command=settings.command, sealed=self.image.sealed
        )
        with contextlib.ExitStack() as on_error:
            on_error.enter_context(running)
            if settings.wait:
                wait_for(running, settings.wait)
            on_error.pop_all()
        return running

    def _shared_container(self) -> Running:
        if self._silent:
            raise Broken(self._silent)
        if self._shared is None or not self._shared.alive():
            try:
                self._shared = self._open.enter_context(self.start(ContainerSettings()))
            except Broken as reason:
                self._silent = f"the model does not start, as above ({str(reason)[:60]}…)"
                raise
        return self._shared

    def right_input(self) -> dict[str, Any]:
        """Return an input with which a prediction succeeds; tried once, in the shared container.

        Raises:
            NotApplicable: it cannot be made up, or the model fails on what was made up.
        """
        if self._unusable:
            raise NotApplicable(self._unusable)
        if self._input is None:
            self._input = self._try_input()
        return self._input

    def _try_input(self) -> dict[str, Any]:
        try:
            candidate = inputs.made_up(self.image.schema, self.given)
        except NotApplicable as reason:
            self._unusable = str(reason)
            raise
        if not self.given and candidate:
            url = self._shared_container().url
            answer = httpx.post(f"{url}/predictions", json={"input": candidate}, timeout=ANSWER_SECONDS)
            if answer.status_code != httpx.codes.OK or answer.json().get("status") != "succeeded":
                self._unusable = "the model fails on made-up input; give it some with -i name=value"
                raise NotApplicable(self._unusable)
        return candidate

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()


def health(url: str) -> Mapping[str, Any] | None:
    """Return what ``/health-check`` answers; None while nobody listens."""
    try:
        answer: Mapping[str, Any] = httpx.get(f"{url}/health-check", timeout=10).json()
    except (httpx.TransportError, ValueError):
        return None
    return answer


def wait_for(running: Running, status: str, timeout: float = SETUP_SECONDS) -> None:
    """Wait until the model reports a health status.

    Raises:
        Broken: it ends, fails, or takes too long.
    """
    url = running.url
    deadline = time.monotonic() + timeout
    seen: object = None
    while time.monotonic() < deadline:
        answer = health(url)
        seen = answer and answer.get("status")
        if seen == status:
            return
        if seen in {"SETUP_FAILED", "DEFUNCT"} or not running.alive():
            break
        time.sleep(POLL_SECONDS)
    raise Broken(f"health is {seen or 'silent'}, not {status}; the container wrote: {running.logs()[-400:]}")
