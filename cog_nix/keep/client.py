"""Predictions through a model that is kept: found by what it is, or by its name where that is remembered."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from cog_nix.keep import place
from cog_nix.keep.failures import KeeperLostError, KeptModelError
from cog_nix.keep.messages import receive, send

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from cog_nix.keep.request import KeepRequest
    from cog_nix.report import Reporter

_TRIES = 3
_ANSWER_SECONDS = 30.0
"""So long a keeper may take to say whether a model is the one."""
_END_SECONDS = 10.0
"""So long an outdated model may take to end; one that is busy goes on beside the new one."""


class KeptModel:
    """A connection to a model that is kept; as long as it is open, the model stays.

    Args:
        name: of its folder.
        connection: to its keeper.
        reporter: shows what the model writes.
    """

    def __init__(self, name: str, connection: socket.socket, reporter: Reporter) -> None:
        self.name = name
        """Under which it is found again, as long as it is there."""
        self.is_new = False
        """Whether it was started for this client."""
        self.told: dict[str, Any] = {}
        """What its keeper says of it."""
        self._connection, self._reporter = connection, reporter
        self._messages = receive(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def wait_until_ready(self) -> bool:
        """Wait for the model's setup; return False when its keeper ended without a word.

        Raises:
            KeptModelError: the model does not start.
        """
        with suppress(KeeperLostError):
            self.told = self._wait_for("ready")["ready"]
            return True
        return False

    def predict(
        self,
        inputs: Mapping[str, Any] | None,
        context: Mapping[str, str] | None = None,
        *,
        flags: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Make a prediction, when it is this client's turn, and wait for its end.

        Args:
            inputs: prepared inputs; None: the keeper prepares ``flags``.
            context: what the model may ask for besides.
            flags: inputs as they were typed, ``name=value``, none of which names a file.

        Returns:
            ``prediction``, and ``text``: what stdout shows, where that is all that there is to do.

        Raises:
            KeptModelError: the model refuses the inputs, or fails.
            KeeperLostError: its keeper has ended.
        """
        given = {"inputs": dict(inputs)} if inputs is not None else {"flags": list(flags)}
        self._send({"predict": given, "context": dict(context or {})})
        return self._wait_for("prediction")

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document of the model's server.

        Raises:
            KeeperLostError: its keeper has ended.
        """
        self._send({"openapi": True})
        document: dict[str, Any] = self._wait_for("openapi")["openapi"]
        return document

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            send(self._connection, message)
        except OSError as error:
            raise KeeperLostError from error

    def _wait_for(self, kind: str) -> dict[str, Any]:
        """Return the next message of a kind; show what comes before it."""
        with suppress(OSError):
            for message in self._messages:
                if kind in message:
                    return message
                if "failed" in message:
                    failed = message["failed"]
                    raise KeptModelError(failed["message"], hint=failed["hint"])
                if "warn" in message:
                    self._reporter.warn(message["warn"])
                elif shown := message.get("log", message.get("info")):
                    self._reporter.info(shown)
        raise KeeperLostError

    def is_it(self) -> dict[str, Any] | None:
        """Return what the keeper says first: that this is the model, or which other one it keeps."""
        self._connection.settimeout(_ANSWER_SECONDS)
        with suppress(OSError):
            first = next(self._messages, None)
            self._connection.settimeout(None)
            return first
        return None


def open_by_name(name: str, keep: int, reporter: Reporter) -> KeptModel | None:
    """Return a model that is known to be the one, when it is still there and ready.

    Args:
        name: of its folder.
        keep: seconds from this use to its end.
        reporter: shows what the model writes.
    """
    try:
        connection = place.connect(name)
        send(connection, {"use": None, "keep": keep})
    except OSError:
        return None
    model = KeptModel(name, connection, reporter)
    if "yours" in (model.is_it() or {}) and model.wait_until_ready():
        return model
    connection.close()
    return None


def open_model(request: KeepRequest, reporter: Reporter, starts: Callable[[], object]) -> KeptModel:
    """Return the model that is asked for, ready; start it where it is not kept, and end what it replaces.

    Args:
        request: which.
        reporter: shows what the model writes.
        starts: called before it is started.

    Raises:
        KeptModelError: it does not start.
        KeeperLostError: its keeper ends, again and again.
        RuntimeFailure: there is no place for its socket.
    """
    from cog_nix.keep.start import start  # noqa: PLC0415 - a model that is there is not started

    for _ in range(_TRIES):
        with place.starting():
            place.sweep()
            model = _find(request, reporter)
            if model is None:
                starts()
                model = _connect(start(request), request, reporter)
                if model is None:
                    continue  # it has ended already
                model.is_new = True
        try:
            if model.wait_until_ready():
                return model
        except BaseException:
            model.__exit__()
            raise
        model.__exit__()
    raise KeeperLostError


def _connect(name: str, request: KeepRequest, reporter: Reporter) -> KeptModel | None:
    """Connect to a keeper and say what is wanted; None: it has ended."""
    try:
        connection = place.connect(name)
    except OSError:
        return None
    try:
        send(connection, {"use": request.identity, "keep": request.keep})
    except OSError:
        connection.close()
        return None
    return KeptModel(name, connection, reporter)


def _find(request: KeepRequest, reporter: Reporter) -> KeptModel | None:
    """Return the model, where it is kept; end those that an older image was started for."""
    for name in place.names(f"{request.slot}-"):
        model = _connect(name, request, reporter)
        if model is None:
            continue
        first = model.is_it() or {}
        if "yours" in first:
            return model
        model.__exit__()
        if first.get("outdated"):
            stop(name, _END_SECONDS, when="idle")
    return None


def stop(name: str, seconds: float, *, when: str = "now") -> bool:
    """Let a keeper end; return whether it has, in this time.

    Args:
        name: of the model's folder.
        seconds: how long to wait.
        when: ``now``, or ``idle``: after the predictions that run.
    """
    with suppress(OSError):
        connection = place.connect(name)
        with connection:
            send(connection, {"stop": when})
            connection.settimeout(seconds)
            try:
                return not connection.recv(1)
            except TimeoutError:
                return False
    return True


def kept() -> dict[str, dict[str, Any]]:
    """Return what every keeper of this user says of its model, by the name of its folder."""
    found = {}
    for name in place.names():
        with suppress(OSError):
            connection = place.connect(name)
            with connection:
                connection.settimeout(_ANSWER_SECONDS)
                send(connection, {"tell": True})
                found[name] = next(receive(connection), {}).get("told", {})
    return found
