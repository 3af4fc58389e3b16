"""What a project starts: its source as it reaches the image, without what it brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import Build, Config, RunCommand, Settings
from cog_nix.plugins.manager import load
from cog_nix.programs.project import installed_by, started_by, started_in_changed
from cog_nix.programs.wheels import programs_of
from cog_nix.resolve import programs
from cog_nix_hooks.debian.everywhere import EVERYWHERE
from cog_nix_hooks.debian.settings import DebianSettings

PLUGINS = load({"COG_NIX_PLUGINS": "0"})

if TYPE_CHECKING:
    from pathlib import Path


def _write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_py", ".py").replace("_sh", ".sh")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _call(*names: str) -> str:
    return "import subprocess\n" + "".join(f"subprocess.run([{name!r}])\n" for name in names)


def test_the_first_place_of_each_program(tmp_path: Path) -> None:
    _write(tmp_path, predict_py=_call("jq", "ls", "python3", "jq"), a__more_py=_call("jq", "sox"))
    assert [(one.program, one.place) for one in started_by(tmp_path, everywhere=EVERYWHERE)] == [
        ("jq", "predict.py:2"),
        ("sox", "a/more.py:3"),
    ]


def test_what_does_not_count(tmp_path: Path) -> None:
    _write(
        tmp_path,
        predict_py=_call("mine", "jq"),
        bin__mine="a program",
        ignored__a_py=_call("sox"),
        tests__a_py=_call("sox"),
        test_a_py=_call("sox"),
        setup_py=_call("sox"),
        notes=_call("sox"),
    )
    (tmp_path / "test_a.py").write_text(_call("sox"))
    (tmp_path / ".dockerignore").write_text("ignored\n")
    assert [one.program for one in started_by(tmp_path, everywhere=EVERYWHERE)] == ["jq"]


def test_shell_scripts_that_the_source_starts(tmp_path: Path) -> None:
    source = 'import subprocess\nsubprocess.run(["bash", "go.sh"])\nsubprocess.run(["bash", "../out.sh"])\n'
    _write(tmp_path, predict_py=source, go_sh="#!/bin/sh\nset -e\nwget -q x\n", other_sh="sox x\n")
    assert [(one.program, one.place) for one in started_by(tmp_path, everywhere=EVERYWHERE)] == [
        ("wget", "go.sh:3")
    ]


@pytest.mark.parametrize(
    ("command", "brings"),
    [
        ("apt-get update && apt-get install -y jq wget", True),
        ("curl -o /usr/local/bin/jq -L https://example.org/x && chmod +x /usr/local/bin/jq", True),
        ("pip install 'jq==1.0'", True),
        ("jq --version", False),
        ("curl -L https://example.org/jq", False),
        ("pip install jq-tools", False),
    ],
)
def test_commands_install_programs(tmp_path: Path, command: str, *, brings: bool) -> None:
    _write(tmp_path, predict_py=_call("jq"))
    config = Config(build=Build(run=(RunCommand(command),)))
    assert ("jq" in installed_by([command])) is brings
    assert [one.program for one in programs.starts(tmp_path, config, Settings(), PLUGINS)] == (
        [] if brings else ["jq"]
    )


def test_settings(tmp_path: Path) -> None:
    _write(tmp_path, predict_py=_call("jq", "sox"))
    off = Settings(tables={"debian": DebianSettings(programs=False)})
    without = Settings(tables={"debian": DebianSettings(ignore_programs=("sox",))})
    assert programs.starts(tmp_path, Config(), off, PLUGINS) == ()
    assert programs.names(programs.starts(tmp_path, Config(), without, PLUGINS)) == ("jq",)


def test_an_edit_is_looked_at_alone(tmp_path: Path) -> None:
    _write(tmp_path, predict_py=_call("jq", "mine"), other_py=_call("sox"), mine="")
    paths = ["predict.py", "other.py", "mine"]
    assert started_in_changed(tmp_path, ["predict.py", "gone.py", "mine"], paths) == {"jq"}


def test_a_link_out_of_nowhere_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.py").symlink_to("nowhere")
    assert started_by(tmp_path, everywhere=EVERYWHERE) == ()


def test_programs_of_wheels() -> None:
    members = ["a-1.data/scripts/tool", "a-1.data/data/bin/ninja", "a/bin/inner", "a-1.dist-info/RECORD"]
    entry_points = "[console_scripts]\nYt-dlp = a:b\n[other]\nc = d\n"
    assert programs_of(members, entry_points) == ("Yt-dlp", "ninja", "tool")
    assert programs_of(members, "no ini file") == ("ninja", "tool")
