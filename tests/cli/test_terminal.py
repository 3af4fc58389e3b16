"""Terminals: colours where they are wanted, bars that count right, and keys that are not lost."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from cog_nix.cli.project_container import raw_terminal
from cog_nix.cli.terminal import TerminalReporter, coloured, painted
from conftest import ROOT


@pytest.mark.parametrize(
    ("environ", "terminal", "answer"),
    [
        pytest.param({}, True, True, id="terminal"),
        pytest.param({}, False, False, id="no-terminal"),
        pytest.param({"NO_COLOR": ""}, True, True, id="empty-NO_COLOR"),
        pytest.param({"NO_COLOR": "0"}, True, False, id="NO_COLOR"),
        pytest.param({"COG_NO_COLOR": "1"}, True, False, id="COG_NO_COLOR"),
        pytest.param({"TERM": "dumb"}, True, False, id="dumb"),
    ],
)
def test_whether_there_are_colours(environ: dict[str, str], *, terminal: bool, answer: bool) -> None:
    assert coloured(environ, terminal=terminal) is answer


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("error: no\nerror: such", "\x1b[1;31merror:\x1b[0m no\nerror: such"),
        ("warning: old", "\x1b[1;33mwarning:\x1b[0m old"),
        ("Building error: x", "Building error: x"),
        ("", ""),
    ],
)
def test_what_is_in_colour(text: str, shown: str) -> None:
    assert painted(text) == shown


@pytest.mark.parametrize("flags", [(), ("--no-color",)], ids=["plain", "no-color"])
def test_an_error_on_a_terminal(flags: tuple[str, ...]) -> None:
    near, far = pty.openpty()
    kept = {key: value for key, value in os.environ.items() if "NO_COLOR" not in key}
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    command = [sys.executable, "-m", "cog_nix", *flags, "build", "--progress", "bad"]
    subprocess.run(
        command, stderr=far, cwd=ROOT, check=False, env={**kept, "TERM": "xterm", "PYTHONPATH": paths}
    )
    os.close(far)
    seen = b""
    with suppress(OSError):  # so Linux says that the other end is closed
        while data := os.read(near, 1 << 16):
            seen += data
    os.close(near)
    assert seen.startswith(b"error: " if flags else b"\x1b[1;31merror:\x1b[0m ")


class _Container:
    def resize(self, rows: int, columns: int) -> None:
        pass


def test_what_was_typed_before_a_program_starts_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = pty.openpty()
    with os.fdopen(far) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(near, b"print(6 * 7)\nexit()\n")
        assert select.select([far], [], [], 10)[0]
        with raw_terminal(_Container()):  # type: ignore[arg-type]
            assert select.select([far], [], [], 1)[0], "the terminal's input was discarded"
            assert os.read(far, 100).replace(b"\r", b"\n").startswith(b"print(6 * 7)\n")
    os.close(near)


def test_more_than_the_whole_is_not_told_as_part_of_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cog_nix.cli.terminal._SECONDS_BETWEEN", 0)
    reporter = TerminalReporter()
    reporter.progress("tty")
    with reporter.bytes_bar("Uploading", 9700) as bar:
        bar.advance(4800)
        assert "4.8 kB of 9.7 kB" in capfd.readouterr().err
        bar.advance(15700)
        shown = capfd.readouterr().err
    assert "20.5 kB" in shown
    assert " of " not in shown


def test_what_is_left(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 10.0, 20.0, 400.0, 400.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    reporter = TerminalReporter()
    reporter.progress("tty")
    with reporter.bytes_bar("Loading", 1000) as bar:
        bar.advance(100)
        bar.advance(100)
        bar.expect(4000)
        bar.advance(800)
    shown = capfd.readouterr().err.split("\r\x1b[K")
    assert [line.rpartition("  ")[2] for line in shown[1:4]] == [
        "1 min 30 s left",
        "1 min 20 s left",
        "20 min 0 s left",
    ]


def test_steps_of_all(capfd: pytest.CaptureFixture[str]) -> None:
    reporter = TerminalReporter()
    reporter.progress("tty")
    with reporter.steps_bar("Building", None) as bar:
        bar.expect(12)
        bar.advance(3)
    assert "  Building 3 of 12: " in capfd.readouterr().err
