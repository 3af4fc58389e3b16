"""Colours: on terminals, and only where they are wanted."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest

from cog_nix.cli.terminal import coloured, painted
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
