"""One question to a running model, and how it answered."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import httpx

from cog_nix.check.bench import ANSWER_SECONDS
from cog_nix.check.matching import show

if TYPE_CHECKING:
    from collections.abc import Callable

Status = Literal["succeeded", "refused", "failed"]
_BUSY_SECONDS = 10.0
_PAUSE_SECONDS = 0.01


@dataclass(frozen=True)
class Answer:
    """What a model made of an input."""

    status: Status
    """``refused``: the server did not give it to the model."""
    seconds: float
    """From the request to the answer."""
    output: Any = None
    message: str = ""
    """Why it was refused, or failed."""

    def __str__(self) -> str:
        return (
            f"answers {show(self.output, _SHOWN)}"
            if self.status == "succeeded"
            else f"{_SAYS[self.status]}: {self.message}"
        )


_SHOWN = 80
_SAYS = {"refused": "refuses it", "failed": "fails"}


def client(url: str) -> httpx.Client:
    """Return what speaks to a server on loopback.

    Args:
        url: its.
    """
    return httpx.Client(base_url=url, timeout=ANSWER_SECONDS, trust_env=False)


def until_taken(send: Callable[[], httpx.Response]) -> httpx.Response:
    """Send a request again while the server is busy: Cog's frees a place only after it has answered.

    Args:
        send: the request.

    Returns:
        The answer, which is 409 where the server is still busy after some seconds.
    """
    patience = time.monotonic() + _BUSY_SECONDS
    while (came := send()).status_code == httpx.codes.CONFLICT and time.monotonic() < patience:
        time.sleep(_PAUSE_SECONDS)
    return came


def ask(server: httpx.Client, inputs: dict[str, Any]) -> Answer:
    """Make a prediction.

    Args:
        server: as :func:`client` returns it.
        inputs: JSON.
    """
    began = time.monotonic()

    def send() -> httpx.Response:
        nonlocal began
        began = time.monotonic()
        return server.post("/predictions", json={"input": inputs})

    try:
        came = until_taken(send)
        seconds = time.monotonic() - began
        body = came.json()
    except httpx.TimeoutException:
        return Answer("failed", time.monotonic() - began, message=f"no answer within {ANSWER_SECONDS:g} s")
    except (httpx.TransportError, ValueError) as error:
        return Answer("failed", time.monotonic() - began, message=f"the server does not answer: {error}")
    if came.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        return Answer("refused", seconds, message=_refusal(body))
    if not isinstance(body, dict) or body.get("status") != "succeeded":
        said = body.get("error") or body.get("detail") if isinstance(body, dict) else None
        return Answer("failed", seconds, message=str(said or f"HTTP status {came.status_code}"))
    return Answer("succeeded", seconds, body.get("output"))


def _refusal(body: Any) -> str:
    """Return the messages of a refusal (Cog's ``docs/http.md``), with the names of inputs."""
    details = body.get("detail") if isinstance(body, dict) else None
    if not isinstance(details, list):
        return str(details or body)
    lines = [
        f"{'.'.join(map(str, one.get('loc', ())[2:]))}: {one.get('msg')}".removeprefix(": ")
        for one in details
        if isinstance(one, dict)
    ]
    return "; ".join(lines)
