"""The client, the wait and the log, against a server on loopback."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import PredictionError, RuntimeFailure
from cog_nix.plugins.spec import ContainerRequest
from cog_nix.report import SilentReporter
from cog_nix.runtime.client import ModelClient
from cog_nix.runtime.health import wait_until_ready
from cog_nix.runtime.logs import ModelLog, log_environment, readable
from cog_nix.runtime.session import require, running_model

if TYPE_CHECKING:
    from .conftest import FakeModel, FakeRuntime


def test_a_prediction(model: FakeModel) -> None:
    prediction = ModelClient(model.url).predict({"text": "a"}, {"replicate_api_token": "t"})
    assert prediction.succeeded
    assert prediction.output == "hello"
    assert model.asked == [
        {"path": "/predictions", "input": {"text": "a"}, "context": {"replicate_api_token": "t"}}
    ]


def test_a_training_has_its_own_endpoint(model: FakeModel) -> None:
    ModelClient(model.url, train=True).predict({})
    assert [one["path"] for one in model.asked] == ["/trainings"]


def test_a_failed_prediction_is_an_answer(model: FakeModel) -> None:
    model.answer = {"status": "failed", "error": "no", "logs": "said\n", "metrics": {"predict_time": 0.5}}
    prediction = ModelClient(model.url).predict({})
    assert not prediction.succeeded
    assert list(prediction.public().items()) == [
        ("status", "failed"), ("output", None), ("error", "no"), ("metrics", {"predict_time": 0.5}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        pytest.param(
            422,
            {"detail": [{"loc": ["body", "input", "n"], "msg": "Field required", "type": "t"}]},
            "The inputs you passed could not be validated:\n\n- n: Field required",
            id="refused-inputs",
        ),
        pytest.param(422, {"detail": "odd"}, "/predictions call returned status 422", id="refused-oddly"),
        pytest.param(500, {"error": "boom"}, 'status 500\n\n{"error": "boom"}', id="server-error"),
    ],
)
def test_http_errors_say_what_the_model_said(model: FakeModel, status: int, answer: Any, said: str) -> None:
    model.status, model.answer = status, answer
    with pytest.raises(PredictionError) as caught:
        ModelClient(model.url).predict({})
    assert caught.value.message.startswith("Failed to run prediction: ")
    assert said in caught.value.message


def test_an_answer_that_is_no_json(model: FakeModel) -> None:
    model.answer = b"<html>"
    with pytest.raises(RuntimeFailure, match="Failed to decode prediction response"):
        ModelClient(model.url).predict({})


def test_a_model_that_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = ModelClient(f"http://127.0.0.1:{port}")
    assert client.health() is None
    with pytest.raises(RuntimeFailure, match=r"The model stopped answering at POST /predictions"):
        client.predict({})


def test_the_wait_ends_when_setup_has_run(model: FakeModel, fake_runtime: FakeRuntime) -> None:
    model.health = [{"status": "UNKNOWN"}, {"status": "STARTING"}, {"status": "READY"}]
    wait_until_ready(fake_runtime.container, 10)
    assert model.health == [{"status": "READY"}]


@pytest.mark.parametrize(
    ("health", "message"),
    [
        pytest.param(
            {"status": "SETUP_FAILED", "setup": {"logs": "loading\nValueError: no weights"}},
            "Model setup failed:\n\n    loading\n    ValueError: no weights",
            id="setup-failed",
        ),
        pytest.param(
            {"status": "DEFUNCT"}, "Container healthcheck returned unexpected status: DEFUNCT", id="defunct"
        ),
        pytest.param(
            {"status": "STARTING"}, "Timed out: the model was not ready after 0.2 seconds", id="too-slow"
        ),
        pytest.param({"no": "status"}, "Container healthcheck returned invalid response: ", id="not-cog"),
    ],
)
def test_the_wait_fails(
    model: FakeModel, fake_runtime: FakeRuntime, health: dict[str, Any], message: str
) -> None:
    model.health = [health]
    with pytest.raises(RuntimeFailure) as caught:
        wait_until_ready(fake_runtime.container, 0.2)
    assert caught.value.message.startswith(message)


def test_a_container_that_died_shows_its_output(fake_runtime: FakeRuntime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        fake_runtime.container.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    fake_runtime.container.running = False
    with pytest.raises(RuntimeFailure) as caught:
        wait_until_ready(fake_runtime.container, 10)
    assert (
        caught.value.message == "Container exited unexpectedly with status 3:\n\n    a line of the container"
    )
    assert caught.value.hint


def test_a_session_removes_its_container_after_a_failure(model: FakeModel, fake_runtime: FakeRuntime) -> None:
    model.health = [{"status": "SETUP_FAILED"}]
    lines: list[str] = []
    session = running_model(
        fake_runtime, ContainerRequest("m"), setup_timeout=1, log=lines.append, reporter=SilentReporter()
    )
    with pytest.raises(RuntimeFailure, match="Model setup failed"), session:
        pytest.fail("it was never ready")
    assert fake_runtime.container.removed
    assert lines == ["a line of the container"]


class Warnings(SilentReporter):
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.reasons: list[str] = []

    def info(self, text: str) -> None:
        self.reasons.append(text)

    def warn(self, text: str) -> None:
        self.texts.append(text)


def test_without_a_driver_all_gpus_become_none(fake_runtime: FakeRuntime) -> None:
    fake_runtime.has_gpu_driver = False
    reporter = Warnings()
    request = ContainerRequest("m", gpus="all", env={"A": "1"})
    with running_model(fake_runtime, request, setup_timeout=1, log=print, reporter=reporter):
        pass
    assert [(one.gpus, one.env) for one in fake_runtime.requests] == [("all", {"A": "1"}), (None, {"A": "1"})]
    assert reporter.texts == ["Missing device driver, re-trying without GPU"]
    assert len(reporter.reasons) == 1
    assert "driver" in reporter.reasons[0]


def test_named_gpus_are_not_silently_dropped(fake_runtime: FakeRuntime) -> None:
    fake_runtime.has_gpu_driver = False
    session = running_model(
        fake_runtime,
        ContainerRequest("m", gpus="device=0"),
        setup_timeout=1,
        log=print,
        reporter=SilentReporter(),
    )
    with pytest.raises(RuntimeFailure, match="no driver"), session:
        pytest.fail("started")


def test_a_missing_runtime_is_an_error_with_a_way_out(fake_runtime: FakeRuntime) -> None:
    require(fake_runtime)
    fake_runtime.why = "Docker is not running."
    with pytest.raises(RuntimeFailure) as caught:
        require(fake_runtime)
    assert caught.value.shown().startswith("Docker is not running.\n\n")


def record(level: str, target: str, **fields: str) -> str:
    return json.dumps({"timestamp": "t", "level": level, "target": target, "fields": fields})


def older(severity: str, logger: str, message: str) -> str:
    """Return a record of the server that the SDKs before 0.17 bring."""
    return json.dumps({"logger": logger, "severity": severity, "message": message})


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        pytest.param("plain text", "plain text", id="not-a-record"),
        pytest.param('{"a": 1}', '{"a": 1}', id="json-of-the-model"),
        pytest.param("{broken", "{broken", id="broken-json"),
        pytest.param(
            record("INFO", "coglet::setup", message="loading", source="Stdout"), "loading", id="setup"
        ),
        pytest.param(record("INFO", "coglet::user", message="old"), "old", id="python-warning"),
        pytest.param(
            record("INFO", "coglet::prediction", message="step 1", source="Stderr"), "step 1", id="prediction"
        ),
        pytest.param(record("INFO", "coglet::prediction", message="Starting prediction"), None, id="chatter"),
        pytest.param(record("WARN", "coglet::predictor", message="careful"), "careful", id="warning"),
        pytest.param(record("ERROR", "coglet", message="failed", error="why"), "failed: why", id="error"),
        pytest.param(older("INFO", "uvicorn.error", "Started"), None, id="older-chatter"),
        pytest.param(older("INFO", "cog.server.runner", "starting"), None, id="older-chatter-of-cog"),
        pytest.param(older("WARNING", "cog.server.http", "careful"), "careful", id="older-warning"),
        pytest.param(older("INFO", "mine", "x"), older("INFO", "mine", "x"), id="older-json-of-the-model"),
        pytest.param(
            "2026-01-01 00:00:00 [info     ] Rust coglet not available, using Python HTTP server",
            None,
            id="older-without-coglet",
        ),
    ],
)
def test_a_line_of_the_server_is_shown_as_the_model_wrote_it(line: str, shown: str | None) -> None:
    assert readable(line) == shown


def test_the_log_keeps_what_it_showed() -> None:
    shown: list[str] = []
    log = ModelLog(shown.append)
    for line in ("one", record("INFO", "coglet", message="chatter"), "two"):
        log(line)
    assert shown == ["one", "two"]
    assert log.tail() == "one\ntwo"


def test_a_server_that_is_stopped_complains_unheard() -> None:
    shown: list[str] = []
    log = ModelLog(shown.append)
    lines = (
        record("ERROR", "coglet", message="Slot poisoned"),
        older("ERROR", "cog.server.http", "worker lost"),
        record("INFO", "coglet::prediction", message="late", source="Stdout"),
    )
    for line in lines:
        log(line)
    log.end()
    for line in lines:
        log(line)
    assert shown == ["Slot poisoned", "worker lost", "late", "late"]


@pytest.mark.parametrize(
    ("environ", "debug", "expected"),
    [
        ({}, False, {"LOG_FORMAT": "json", "COG_LOG_LEVEL": "info"}),
        ({}, True, {"LOG_FORMAT": "console", "COG_LOG_LEVEL": "debug"}),
        ({"RUST_LOG": "coglet=trace"}, False, {"LOG_FORMAT": "console", "RUST_LOG": "coglet=trace"}),
    ],
    ids=["usual", "debug", "rust-log"],
)
def test_the_servers_log_settings(environ: dict[str, str], expected: dict[str, str], *, debug: bool) -> None:
    assert log_environment(environ, debug=debug) == expected
