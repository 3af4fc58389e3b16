"""A child that is started with little has of the standard library's what is needed to go on with it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cog_nix.store import ahead
from cog_nix.system.child import Child
from cog_nix.system.processes import run

if TYPE_CHECKING:
    from pathlib import Path

_SPEAKS = "import sys; sys.stdout.write(sys.stdin.read() + 'é'); sys.stderr.write('b\\nc\\n'); sys.exit(3)"


def test_it_is_run_to_its_end() -> None:
    lines: list[str] = []
    command = [sys.executable, "-c", _SPEAKS]
    finished = run(
        command, stdin="in ", check=False, on_stderr=lines.append, started=Child(command, os.environ)
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (3, "in é", "b\nc\n")
    assert lines == ["b", "c"]


def test_a_signal_is_its_status() -> None:
    with Child(["sleep", "60"], os.environ) as child:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.02)
        assert child.poll() is None
        child.kill()
        assert child.wait(10) == -9
        child.kill()  # it has ended, and its number may be somebody else's
    assert child.poll() == child.returncode == -9


def test_broken_pipes_end_it_as_any_program() -> None:
    """Python ignores SIGPIPE, and its children should not."""
    with Child(["sh", "-c", "yes; echo $?"]) as child:
        assert child.stdout is not None
        child.stdout.close()
    with Child(["sh", "-c", "(yes; echo $? >&2) | true"]) as child:
        assert child.stderr is not None
        assert child.stderr.read() == "141\n"


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Child([str(tmp_path / "none")])


def test_values_are_gone_with_their_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(ahead, "_began", [])
    ahead.start(["cat"], {"a": 1}, 0)
    (folder,) = tmp_path.iterdir()
    (file,) = folder.iterdir()
    assert file.read_text() == '{"a": 1}'
    assert file.stat().st_mode & 0o777 == 0o600
    assert ahead.claim(["cat"], {"a": 2}) is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        ahead.start([str(tmp_path / "none")], {}, 0)
    assert list(tmp_path.iterdir()) == []


def test_values_go_where_files_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    with ahead.Values({}) as values:
        assert not values.arguments()[-1].startswith(str(tmp_path))
