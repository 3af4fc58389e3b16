"""Completion as a shell asks for it, and the manual page as man reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cog_nix.cli.app import run
from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
@pytest.mark.parametrize(
    ("program", "variable"), [("cog-nix", "_COG_NIX_COMPLETE"), ("cog", "_COG_COMPLETE")]
)
def test_a_script_for_each_shell(
    shell: str, program: str, variable: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", shell], program=program) == 0
    said = capfd.readouterr().out
    assert variable in said
    assert program in said


@pytest.mark.parametrize("program", ["cog-nix", "cog"])
def test_zsh_completes_when_it_has_just_loaded_the_script(
    program: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The file's own name is the function that zsh calls; the script has to pass that call on."""
    assert run(["completion", "zsh"], program=program) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"#compdef {program}"
    function = next(line for line in lines if line.endswith("() {"))[:-4]
    assert lines[-3:] == [f'if [ "$funcstack[1]" = "_{program}" ]; then', f'  {function} "$@"', "fi"]


def test_an_unknown_shell(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "dos"]) == 2
    assert "dos" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ("cog-nix ser", ["serve"]),
        ("cog-nix serve --upl", ["--upload-url"]),
        ("cog-nix shim in", ["install"]),
        ("cog-nix exec --pub", ["--publish"]),
    ],
)
def test_bash_is_answered(words: str, answers: list[str], tmp_path: Path) -> None:
    script = tmp_path / "completion"
    with script.open("w") as stream:
        subprocess.run(
            [sys.executable, "-m", "cog_nix", "completion", "bash"], stdout=stream, check=True, env=_env()
        )
    program = tmp_path / "cog-nix"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cog_nix "$@"\n')
    program.chmod(0o755)
    function = next(line for line in script.read_text().splitlines() if line.endswith("() {"))[:-4]
    ask = (
        f". {script}; COMP_WORDS=({words}); COMP_CWORD={len(words.split()) - 1}; "
        f'{function} "{program}"; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True, env=_env(tmp_path))
    assert done.stdout.split() == answers


def _env(*folders: Path) -> dict[str, str]:
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    return {**os.environ, "PYTHONPATH": paths, "PATH": path}


def test_the_manual_page_names_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/reference/cog-nix.1").read_text()
    run(["--help"])
    listed = capfd.readouterr().out.partition("Commands:\n")[2]
    commands = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]
    assert len(commands) > 10
    written = {name: name.replace("-", "\\-") for name in commands}
    assert [name for name, roff in written.items() if f".SS cog\\-nix {roff}" not in page] == []
    assert page.startswith('.\\"')
    assert ".SH EXIT STATUS\n.TP\n\\fB0\\fR\n" in page


@pytest.mark.skipif(not shutil.which("groff"), reason="groff reads the page as man does")
def test_the_manual_page_has_no_faults() -> None:
    command = ["groff", "-man", "-Tutf8", "-ww", "-z", str(ROOT / "docs/reference/cog-nix.1")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""
