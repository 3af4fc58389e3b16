from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from cog_nix.system.processes import ProcessError, redact, run

if TYPE_CHECKING:
    from pathlib import Path


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_what_it_writes_is_captured_apart(tmp_path: Path) -> None:
    lines: list[str] = []
    program = (
        "import os, sys; print(os.getcwd(), os.environ, sys.stdin.read()); print('a\\nb', file=sys.stderr)"
    )
    finished = run(python(program), env={"X": "1"}, cwd=tmp_path, stdin="in", on_stderr=lines.append)
    assert finished.stdout.startswith(str(tmp_path))
    assert "'X': '1'" in finished.stdout
    assert finished.stdout.endswith("in\n")
    assert (finished.stderr, lines, finished.returncode) == ("a\nb\n", ["a", "b"], 0)


def test_much_output_on_both_sides_does_not_block() -> None:
    program = "import sys; sys.stderr.write('e' * 10**6); sys.stdout.write('o' * 10**6)"
    finished = run(python(program), stdin="i" * 10**6)
    assert (len(finished.stdout), len(finished.stderr)) == (10**6, 10**6)


def test_a_failure_shows_the_command_and_what_it_said_without_secrets() -> None:
    program = "import sys; sys.exit('cannot read https://user:hunter2@example.org/x with tok3n')"
    lines: list[str] = []
    with pytest.raises(ProcessError) as caught:
        run([*python(program), "--key=tok3n"], secrets=["tok3n"], on_stderr=lines.append)
    message = caught.value.message
    assert "failed with exit status 1" in message
    assert "cannot read https://***@example.org/x with ***" in message
    assert "--key=***" in message
    for text in (message, *lines):
        assert "tok3n" not in text
        assert "hunter2" not in text
    assert caught.value.finished.returncode == 1


def test_a_failure_can_be_left_to_the_caller() -> None:
    assert run(python("raise SystemExit(7)"), check=False).returncode == 7


def test_a_signal_is_named() -> None:
    with pytest.raises(ProcessError, match="ended by signal 15"):
        run(python("import os; os.kill(os.getpid(), 15)"))


def test_a_missing_program_says_so() -> None:
    with pytest.raises(ProcessError, match="no such program") as caught:
        run(["no-such-program"])
    assert "PATH" in caught.value.hint


def test_a_missing_folder_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match=f"in {tmp_path}/missing: No such file"):
        run(python(""), cwd=tmp_path / "missing")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("http://u:p@h/x and ssh://u@h", "http://***@h/x and ssh://***@h", id="urls"),
        pytest.param("mail me@example.org", "mail me@example.org", id="no-url"),
        pytest.param("https://h/path@2", "https://h/path@2", id="at-in-a-path"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_lines_that_nobody_needs_again_are_not_kept() -> None:
    heard: list[str] = []

    def hear(line: str) -> bool:
        heard.append(line)
        return line != "b"

    finished = run(["sh", "-c", "printf 'a\\nb\\nc\\n' >&2"], on_stderr=hear)
    assert (heard, finished.stderr) == (["a", "b", "c"], "a\nc\n")


def test_what_a_listener_raises_ends_the_command_and_is_raised() -> None:
    def refuse(line: str) -> None:
        raise LookupError(line)

    with pytest.raises(LookupError, match=r"^first$"):
        run(["sh", "-c", "echo first >&2; echo second >&2; exec sleep 1000"], on_stderr=refuse)
