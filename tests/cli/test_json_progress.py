"""``--json-progress``: each line of stderr is an event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.cli import terminal
from cog_nix.cli.app import run
from cog_nix.cli.json_progress import JsonReporter

if TYPE_CHECKING:
    from pathlib import Path


def events(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_stages_and_lines(capfd: pytest.CaptureFixture[str]) -> None:
    reporter = JsonReporter()
    reporter.step("Building cog-m")
    reporter.info("\nServing at x\n")
    reporter.info("")
    reporter.log("not asked for")
    reporter.warn("old")
    assert events(capfd) == [
        {"event": "step", "text": "Building cog-m"},
        {"event": "info", "text": "Serving at x"},
        {"event": "warning", "text": "old"},
    ]
    JsonReporter(verbose=True).log("a tool's line")
    assert events(capfd) == [{"event": "log", "text": "a tool's line"}]


def test_a_bar_counts(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_SECONDS_BETWEEN", 0)
    reporter = JsonReporter()
    with reporter.bytes_bar("Fetching 2 files", 30) as bar, reporter.steps_bar("Building", None) as other:
        bar.advance(10)
        other.expect(4)
        other.describe("torch")
        bar.advance(20)
    told = events(capfd)
    assert all(event.pop("seconds") >= 0 for event in told if event["event"] == "end")
    assert told == [
        {"event": "begin", "id": 1, "text": "Fetching 2 files", "unit": "bytes", "total": 30},
        {"event": "begin", "id": 2, "text": "Building", "unit": "steps", "total": None},
        {"event": "progress", "id": 1, "done": 10, "total": 30, "detail": ""},
        {"event": "progress", "id": 2, "done": 0, "total": 4, "detail": "torch"},
        {"event": "progress", "id": 1, "done": 30, "total": 30, "detail": ""},
        {"event": "end", "id": 2, "done": 0, "total": 4},
        {"event": "end", "id": 1, "done": 30, "total": 30},
    ]


def test_one_event_in_a_while(capfd: pytest.CaptureFixture[str]) -> None:
    with JsonReporter().bytes_bar("Loading", 1000) as bar:
        for _ in range(1000):
            bar.advance(1)
    assert len(events(capfd)) < 20


def test_quiet_tells_what_is_wrong(capfd: pytest.CaptureFixture[str]) -> None:
    reporter = JsonReporter(quiet=True)
    reporter.step("Building")
    with reporter.bytes_bar("Loading", 2) as bar:
        bar.advance(2)
    reporter.warn("old")
    assert events(capfd) == [{"event": "warning", "text": "old"}]


@pytest.mark.parametrize("arguments", [["--json-progress", "build"], ["build", "--json-progress"]])
def test_an_error_is_an_event(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cog.yaml").write_text("build:\n  python_version: 3\n")
    assert run(arguments) == 1
    *_, error = events(capfd)
    assert (error["event"], error["type"]) == ("error", "ConfigError")
    assert error["text"].startswith("cog.yaml:2: ")
    assert error["hint"]


def test_a_mistyped_option_is_an_event(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--json-progress", "build", "--speling"]) == 2
    [error] = events(capfd)
    assert "--speling" in error["text"]


def test_arguments_of_other_programs_are_theirs(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["exec", "--speling", "--", "program", "--json-progress"]) == 2
    assert not capfd.readouterr().err.startswith("{")
