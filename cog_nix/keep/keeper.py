"""The process that owns a model's container for as long as it is kept warm.

It is started by :mod:`cog_nix.keep.start` in a session of its own, with a request on its stdin, and inherits
a socket that listens already: clients may connect before the container is there. It ends, and the container
with it, when nobody has asked for the agreed time, when it is told to, when the model has died, and when
everybody who waited for its start has gone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cog_nix.errors import CogNixError, RuntimeFailure
from cog_nix.keep import place
from cog_nix.keep.messages import receive, send
from cog_nix.keep.request import KeepRequest
from cog_nix.keep.turns import Turns
from cog_nix.plugins import manager
from cog_nix.report import SilentReporter
from cog_nix.runtime.client import ModelClient, Prediction
from cog_nix.runtime.inputs import prepare_inputs, read_inputs
from cog_nix.runtime.logs import readable
from cog_nix.runtime.outputs import text_of
from cog_nix.runtime.schema import is_file
from cog_nix.runtime.session import running_model
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from cog_nix.plugins.spec import ContainerRequest
    from cog_nix.runtime.schema import ApiSchema, Schema

_ALIVE_SECONDS = 2.0
"""So often it looks whether the model is still there."""
_PATIENCE_SECONDS = 10
"""So long a client may read nothing of what it is told."""
_SETTLE_SECONDS = 10.0
"""So long a model may take to let go of a prediction that was cancelled."""
_LOG_SECONDS = 0.3
"""So long the last lines of a prediction may take to arrive."""
_POLL_SECONDS = 0.02
_READY, _BUSY = "READY", "BUSY"


class _User:
    """A client that uses the model."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        # A client that is held up may not hold up the model, whose output waits to be read.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _PATIENCE_SECONDS, 0))
        self.gone = threading.Event()
        self.prediction = ""
        """Id of the one that runs for it."""
        self.lines = 0
        """That it was sent since its prediction began."""
        self._lock = threading.Lock()

    def tell(self, message: dict[str, Any]) -> None:
        with self._lock:
            try:
                send(self.connection, message)
            except OSError:  # it has gone, or reads nothing any more: its own thread notices
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)


class _Narration(SilentReporter):
    """Passes on what is said while the container starts."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def info(self, text: str) -> None:
        self._keeper.broadcast({"info": text})

    def warn(self, text: str) -> None:
        self._keeper.broadcast({"warn": text})


class Keeper:
    """Keeps one model.

    Args:
        request: what is kept.
        server: the socket that listens.
        give_up: ends the start of the container, which goes on in the thread that calls :meth:`run`.
    """

    def __init__(
        self, request: KeepRequest, server: socket.socket, give_up: Callable[[], object] | None = None
    ) -> None:
        self._request, self._server = request, server
        self._identity = request.identity  # as long as what the command mounts is there
        self._give_up = give_up or (lambda: os.kill(os.getpid(), signal.SIGTERM))
        self._changed = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._users: set[_User] = set()
        self._visits = 0
        self._keep = request.keep
        self._url = ""
        self._said: list[dict[str, Any]] = []
        """What was shown while it started, for those who come a moment later."""
        self._schema: ApiSchema | None = None
        self._failure: dict[str, Any] | None = None
        self._ending = self._over = False
        self._retired = False
        self._free_since = time.monotonic()
        self._turns = Turns(request.concurrency, self._changed)

    def run(self) -> None:
        """Keep the model until its end."""
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            self._run()
        except CogNixError as error:
            self._fail({"message": error.message, "hint": error.hint})
        except Exception:  # noqa: BLE001 - a bug, which whoever waits is to see as it is
            self._fail({"message": traceback.format_exc().rstrip(), "hint": ""})
        finally:
            with self._changed:
                self._ending = self._over = True
                self._changed.notify_all()
                connections = list(self._connections)
            for one in connections:
                with suppress(OSError):  # the other end was quicker
                    one.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        request = self._request
        runtime = manager.find_runtime(request.runtime, manager.load(), SilentReporter())
        threading.Thread(target=self._leave_unless_wanted, daemon=True).start()
        with (
            _own_copies(request.container) as wanted,
            running_model(
                runtime,
                wanted,
                setup_timeout=request.setup_timeout,
                log=self._log,
                reporter=_Narration(self),
            ) as container,
        ):
            client = ModelClient(container.url)
            self._schema = client.schema()
            with self._changed:
                self._url = container.url
                self._free_since = time.monotonic()
                users = list(self._users)
                self._changed.notify_all()
            for user in users:
                user.tell({"ready": self._told()})
            while not self._is_over():
                with self._changed:
                    self._changed.wait(self._seconds_to_wait())
                if not container.alive():
                    return

    def _is_over(self) -> bool:
        with self._changed:
            if self._ending:
                return True
            if self._users:
                return False
            self._ending = self._retired or self._seconds_left() <= 0
            return self._ending

    def _seconds_left(self) -> float:
        # Whoever started it may need a moment to connect.
        keep = self._keep if self._visits else max(self._keep, _SETTLE_SECONDS)
        return keep - (time.monotonic() - self._free_since)

    def _seconds_to_wait(self) -> float:
        return _ALIVE_SECONDS if self._users else max(0.01, min(_ALIVE_SECONDS, self._seconds_left()))

    def _leave_unless_wanted(self) -> None:
        """While it starts: end it when everybody has gone who waited for it, or when it is told to."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while not self._url:
            with self._changed:
                waited = self._visits or time.monotonic() > deadline
                if self._ending or self._failure or (waited and not self._users):
                    break
                self._changed.wait(_ALIVE_SECONDS)
        else:
            return
        if not self._failure:
            self._give_up()

    def _fail(self, failure: dict[str, Any]) -> None:
        with self._changed:
            self._failure, self._ending = failure, True
            users = list(self._users)
            self._changed.notify_all()
        for user in users:
            user.tell({"failed": failure})

    def broadcast(self, message: dict[str, Any]) -> None:
        """Tell all who use it, and while it starts those who are about to."""
        with self._changed:
            users = list(self._users)
            if not self._url:
                self._said.append(message)
        for user in users:
            user.tell(message)

    def _log(self, line: str) -> None:
        text = readable(line)
        if text is None:
            return
        if not self._url:
            self.broadcast({"log": text})
            return
        with self._changed:
            # What a model writes on its own shows with whatever runs then.
            users = [one for one in self._users if one.prediction]
        for user in users:
            user.tell({"log": text})
            user.lines += 1

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._changed:
            if self._over:  # nobody would close it
                connection.close()
                return
            self._connections.add(connection)
        try:
            # Whoever breaks off, or says what nobody understands, ends this connection and nothing else.
            with connection, suppress(OSError, ValueError, KeyError, TypeError):
                self._listen(connection, receive(connection))
        finally:
            with self._changed:
                self._connections.discard(connection)

    def _listen(self, connection: socket.socket, messages: Iterator[dict[str, Any]]) -> None:
        first = next(messages, {})
        if "tell" in first:
            send(connection, {"told": self._told()})
        elif "stop" in first:
            self._stop(connection, idle=first["stop"] == "idle")
        elif "use" in first:
            self._use(connection, first, messages)

    def _told(self) -> dict[str, Any]:
        """Return what may be known of this model by who may connect, without its environment."""
        request = self._request
        return {
            "root": request.root,
            "reference": request.reference,
            "image": request.image,
            "runtime": request.runtime,
            "title": request.title,
            "process": os.getpid(),
            "keep": self._keep,
            "idle": 0 if self._users else int(time.monotonic() - self._free_since),
            "starting": not self._url,
        }

    def _stop(self, connection: socket.socket, *, idle: bool) -> None:
        with self._changed:
            self._retired = True
            self._ending = self._ending or not idle
            self._changed.notify_all()
        while connection.recv(1):  # its end tells that the container is gone, or that nobody waits for that
            pass

    def _use(
        self, connection: socket.socket, first: dict[str, Any], messages: Iterator[dict[str, Any]]
    ) -> None:
        wanted = first["use"]
        if wanted is not None and wanted != self._identity:
            same_image = wanted["image"] == self._request.image
            send(connection, {"other": self._told(), "outdated": not same_image})
            return
        user = _User(connection)
        with self._changed:
            if (self._ending or self._retired) and not self._failure:
                return  # the next one is not this
            user.tell({"yours": True})
            if self._failure:
                user.tell({"failed": self._failure})
                return
            ready = bool(self._url)
            for said in self._said if not (ready and self._visits) else ():
                user.tell(said)
            self._users.add(user)
            self._visits += 1
            self._keep = int(first["keep"])
            self._changed.notify_all()
        try:
            if ready:
                user.tell({"ready": self._told()})
            for message in messages:
                self._answer(user, message)
        finally:
            self._leave(user)

    def _answer(self, user: _User, message: dict[str, Any]) -> None:
        if "openapi" in message and self._schema:
            user.tell({"openapi": self._schema.document})
        elif "predict" in message:
            user.prediction = os.urandom(8).hex()
            user.lines = 0
            threading.Thread(target=self._predict, args=(user, message), daemon=True).start()

    def _leave(self, user: _User) -> None:
        user.gone.set()
        if user.prediction:
            with suppress(CogNixError):
                ModelClient(self._url).cancel(user.prediction)
        with self._changed:
            self._users.discard(user)
            self._free_since = time.monotonic()
            self._changed.notify_all()

    def _predict(self, user: _User, message: dict[str, Any]) -> None:
        """Make a prediction when it is its turn, and answer."""
        client = ModelClient(self._url)
        try:
            given = message["predict"]
            assert self._schema  # noqa: S101 - for the type checker: it is ready
            flags = given.get("flags")
            inputs = given["inputs"] if flags is None else prepare_inputs(read_inputs(flags), self._schema)
            with self._turns.one(lambda: user.gone.is_set() or self._ending) as mine:
                if not mine:
                    return
                if not self._settle(client):
                    self._end()
                    return
                user.lines = 0
                prediction = client.predict(inputs, message.get("context"), user.prediction)
                self._wait_for_log(user, prediction)
                user.prediction = ""
            user.tell({"prediction": asdict(prediction), **self._as_text(prediction)})
        except CogNixError as error:
            user.prediction = ""
            user.tell({"failed": {"message": error.message, "hint": error.hint}})
            if not self._settle(client):
                self._end()

    def _as_text(self, prediction: Prediction) -> dict[str, Any]:
        """Return what stdout shows for an output without files; nothing where it takes more than printing."""
        assert self._schema  # noqa: S101 - as above
        schema = self._schema.output(train=False)
        if not prediction.succeeded or prediction.output is None or _has_files(schema):
            return {}
        with suppress(RuntimeFailure):  # told by who shows it
            return {"text": text_of(prediction.output, schema)}
        return {}

    def _wait_for_log(self, user: _User, prediction: Prediction) -> None:
        expected = len(prediction.logs.splitlines())
        deadline = time.monotonic() + _LOG_SECONDS
        while user.lines < expected and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _settle(self, client: ModelClient) -> bool:
        """Wait until the model takes a prediction; return whether it does."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while True:
            with suppress(RuntimeFailure):
                health = client.health()
                status = health["status"] if health else ""
                if status == _READY or (status == _BUSY and self._request.concurrency > 1):
                    return True
                if status != _BUSY or time.monotonic() > deadline:
                    return False
                time.sleep(_POLL_SECONDS)

    def _end(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify_all()


@contextmanager
def _own_copies(request: ContainerRequest) -> Iterator[ContainerRequest]:
    """Yield a request whose folders of links to weights are the keeper's: the command removes its own."""
    with ExitStack() as stack:
        mounts = []
        for source, target in request.read_only:
            if source.is_dir():
                copy = stack.enter_context(scratch.folder("weights", source.parent, 0o755)) / "files"
                shutil.copytree(source, copy, copy_function=os.link)
            mounts.append((copy if source.is_dir() else source, target))
        yield replace(request, read_only=tuple(mounts))


def _has_files(schema: Schema) -> bool:
    return is_file(schema) or (schema.get("type") == "array" and is_file(schema.get("items")))


def _end_by_signal(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # one is enough: what puts things in order is not to be interrupted
    raise SystemExit(128 + number)


def main() -> None:
    """Keep what stdin says, at the socket and under the lock that were inherited."""
    name, socket_number, _lock = sys.argv[1:]
    signal.signal(signal.SIGTERM, _end_by_signal)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    request = KeepRequest.read(json.load(sys.stdin))
    folder = Path(place.parent()) / name
    with socket.socket(fileno=int(socket_number)) as server:
        try:
            Keeper(request, server).run()
        finally:
            scratch.remove(str(folder))


if __name__ == "__main__":
    main()
