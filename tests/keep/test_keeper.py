"""A kept model, from its start to its end, in a fake runtime."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import CogNixError
from cog_nix.keep import client, keeper, place
from cog_nix.keep.failures import KeptModelError
from cog_nix.keep.messages import receive, send
from cog_nix.report import SilentReporter

from .conftest import request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.keep.request import KeepRequest
    from tests.runtime.conftest import FakeModel, FakeRuntime

    from .conftest import Kept

pytestmark = pytest.mark.usefixtures("kept")


class Listening(SilentReporter):
    """Remembers what is shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def info(self, text: str) -> None:
        self.shown.append(text)


def ask(wanted: Any = None, text: str = "a", reporter: Any = None) -> tuple[str, Any]:
    """Make a prediction through a kept model; return the model's name and the output."""
    with client.open_model(wanted or request(), reporter or SilentReporter(), lambda: None) as model:
        return model.name, model.predict({"text": text})["prediction"]["output"]


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_second_run_asks_the_same_container(fake_runtime: FakeRuntime) -> None:
    first, second = ask(), ask()
    assert first == second == (first[0], "hello")
    assert len(fake_runtime.requests) == 1
    assert not fake_runtime.container.removed


def test_what_the_model_writes_is_shown_while_it_starts() -> None:
    reporter = Listening()
    ask(reporter=reporter)
    assert reporter.shown == ["a line of the container"]


def test_inputs_as_typed_are_prepared_and_the_answer_is_text(model: FakeModel) -> None:
    with client.open_model(request(), SilentReporter(), lambda: None) as kept_model:
        answer = kept_model.predict(None, flags=["text=typed"])
        assert answer["text"] == "hello"
        assert model.asked[0]["input"] == {"text": "typed"}
        with pytest.raises(KeptModelError, match='unknown input "typo"; valid inputs are: text'):
            kept_model.predict(None, flags=["typo=1"])
        assert kept_model.predict(None, flags=["text=again"])["text"] == "hello"
        assert kept_model.openapi() == model.openapi


def test_another_image_ends_the_old_one_first(fake_runtime: FakeRuntime) -> None:
    old, _ = ask()
    new, _ = ask(request("sha256:two"))
    assert old != new
    assert place.names() == [new]
    assert [one.image for one in fake_runtime.requests] == ["model", "model"]


@pytest.mark.parametrize("other", [{"env": {"TOKEN": "s3cret"}}, {"gpus": "all"}], ids=["env", "gpus"])
def test_the_same_image_asked_otherwise_is_another_model(other: dict[str, Any]) -> None:
    first, _ = ask()
    second, _ = ask(request(**other))
    assert sorted([first, second]) == place.names()
    assert ask()[0] == first
    assert ask(request(**other))[0] == second


def test_it_ends_when_nobody_has_asked_for_the_time(fake_runtime: FakeRuntime) -> None:
    ask(request(keep=1))
    assert not fake_runtime.container.removed
    wait_until(lambda: not place.names())
    assert fake_runtime.container.removed


def test_an_open_connection_keeps_it(fake_runtime: FakeRuntime) -> None:
    with client.open_model(request(keep=0), SilentReporter(), lambda: None) as kept_model:
        time.sleep(0.1)
        assert kept_model.predict({"text": "a"})["prediction"]["output"] == "hello"
        assert not fake_runtime.container.removed
    wait_until(lambda: fake_runtime.container.removed)


def test_it_ends_when_it_is_told_to(fake_runtime: FakeRuntime) -> None:
    name, _ = ask()
    assert [told["reference"] for told in client.kept().values()] == ["model"]
    assert client.stop(name, 10)
    assert fake_runtime.container.removed
    wait_until(lambda: not place.names())
    assert client.stop(name, 10)  # what is gone has ended


def test_what_may_be_known_has_no_environment() -> None:
    ask(request(env={"TOKEN": "s3cret"}))
    assert "s3cret" not in str(client.kept())


def test_a_model_that_has_died_is_started_anew(fake_runtime: FakeRuntime, kept: Kept) -> None:
    first, _ = ask()
    fake_runtime.container.running = False
    kept.threads[first].join(10)
    fake_runtime.container.running = True
    second, output = ask()
    assert (first != second, output) == (True, "hello")


def test_a_failed_setup_is_told_to_all_who_wait(model: FakeModel, fake_runtime: FakeRuntime) -> None:
    model.health[:] = [*[{"status": "STARTING"}] * 5, {"status": "SETUP_FAILED", "setup": {"logs": "boom"}}]

    def failure(_: int) -> str:
        with pytest.raises(KeptModelError) as caught:
            ask()
        return caught.value.shown()

    with ThreadPoolExecutor() as pool:
        said = list(pool.map(failure, range(3)))
    assert said == ["Model setup failed:\n\n    boom\n\n" + said[0].rpartition("\n\n")[2]] * 3
    assert "Correct the predictor's setup()" in said[0]
    assert fake_runtime.container.removed


def test_runs_at_once_start_one_container_and_take_turns(model: FakeModel, fake_runtime: FakeRuntime) -> None:
    model.health[:] = [*[{"status": "STARTING"}] * 3, {"status": "READY"}]
    busy = threading.Lock()
    inner = type(model.asked).append

    class Alone(list[Any]):
        def append(self, one: Any) -> None:
            assert busy.acquire(blocking=False), "two predictions at once"
            time.sleep(0.05)
            inner(self, one)
            busy.release()

    model.asked = Alone()
    with ThreadPoolExecutor(6) as pool:
        outputs = [output for _, output in pool.map(lambda n: ask(text=str(n)), range(6))]
    assert outputs == ["hello"] * 6
    assert {one["input"]["text"] for one in model.asked} == set("012345")
    assert len(fake_runtime.requests) == 1


def test_nobody_waits_any_more_so_the_start_is_given_up(model: FakeModel, kept: Kept) -> None:
    model.health[:] = [{"status": "STARTING"}]
    wanted = request()
    connection = place.connect(kept.start(wanted))
    send(connection, {"use": wanted.identity, "keep": 60})
    assert next(receive(connection)) == {"yours": True}
    wait_until(client.kept)
    connection.close()
    assert kept.given_up.wait(10)
    model.health[:] = [{"status": "READY"}]


@pytest.mark.parametrize(
    "garbage", [b"", b"\n", b"[]\n", b"{\n", b'{"use": 5}\n', b"\xff\n", b'{"keep": 1}\n']
)
def test_garbage_ends_its_own_connection_alone(garbage: bytes) -> None:
    name, _ = ask()
    with place.connect(name) as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        while connection.recv(100):
            pass
    assert ask()[0] == name


def test_an_error_of_the_prediction_leaves_the_model(model: FakeModel) -> None:
    name, _ = ask()
    model.status, model.answer = 422, {"detail": [{"loc": ["body", "input", "text"], "msg": "too short"}]}
    with pytest.raises(CogNixError, match="- text: too short"):
        ask()
    model.status, model.answer = 200, {"status": "succeeded", "output": "back"}
    assert ask() == (name, "back")


def test_a_client_that_reads_nothing_holds_up_nobody(
    model: FakeModel, fake_runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_PATIENCE_SECONDS", 1)
    model.health[:] = [{"status": "STARTING"}]
    fake_runtime.container.lines = ["x" * 10_000] * 500
    wanted = request()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(ask, wanted)
        wait_until(client.kept)
        with place.connect(place.names()[0]) as deaf:
            send(deaf, {"use": wanted.identity, "keep": 60})
            model.health[:] = [{"status": "READY"}]
            assert waiting.result(30)[1] == "hello"
            assert ask()[1] == "hello"


def test_one_that_ends_is_not_taken(kept: Kept, fake_runtime: FakeRuntime) -> None:
    old, _ = ask()
    with client.open_model(request(), SilentReporter(), lambda: None) as busy:
        assert not client.stop(old, 0.2, when="idle")
        new, output = ask()
        assert (new != old, output) == (True, "hello")
        assert busy.predict({"text": "a"})["prediction"]["output"] == "hello"
    kept.threads[old].join(10)
    assert place.names() == [new]
    assert len(fake_runtime.requests) == 2


def test_weights_stay_as_long_as_the_model_does(fake_runtime: FakeRuntime, tmp_path: Path) -> None:
    stored = tmp_path / "stored"
    stored.write_text("weights")

    def mounted(name: str, content: Path = stored) -> KeepRequest:
        folder = tmp_path / "mounts" / name
        (folder / "deep").mkdir(parents=True)
        os.link(content, folder / "deep/file")
        made = request()
        container = replace(made.container, read_only=((folder, "/src/weights"), (stored, "/opt/one")))
        return replace(made, container=container)

    first, _ = ask(mounted("first"))
    shutil.rmtree(tmp_path / "mounts/first")  # as the command does at its end
    [(folder, target), single] = fake_runtime.requests[0].read_only
    assert (folder / "deep/file").read_text() == "weights"
    assert (target, single) == ("/src/weights", (stored, "/opt/one"))
    assert ask(mounted("second"))[0] == first
    other = tmp_path / "other"
    other.write_text("weights")
    assert ask(mounted("third", other))[0] != first
    assert client.stop(first, 10)
    wait_until(lambda: not folder.exists())
