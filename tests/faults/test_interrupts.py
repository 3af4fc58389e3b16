"""Ctrl-C, SIGTERM and SIGHUP from the first instruction on: one line, no traceback, an end by that signal."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.kills import judge
from tests.faults.world import ROOT, World

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 0.6
"""Longer than all imports take."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "world", cache=tmp_path / "cache")
    yield made
    assert made.left() == []


def _ready(world: World, command: list[str]) -> subprocess.Popen[str]:
    """Start a command, and return when signals are answered, which is the first thing that it does."""
    read, write = os.pipe()
    code = (
        "import os, sys; from cog_nix.cli import interrupts, main; interrupts.watch()\n"
        f"os.close({write}); sys.argv = {command!r}; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=world.project,
        env=world.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=(write,),
        start_new_session=True,
    )
    os.close(write)
    os.read(read, 1)
    os.close(read)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["INT", "TERM", "HUP"])
@pytest.mark.parametrize("command", [["--help"], ["build", "--no-load"]], ids=["help", "build"])
def test_while_modules_are_imported(world: World, command: list[str], ending: str) -> None:
    chance = random.Random(f"{command} {ending}")  # noqa: S311 - as in kills.py
    problems = []
    for _ in range(8):
        process = _ready(world, ["cog-nix", *command])
        delay = chance.random() * _SECONDS
        time.sleep(delay)
        process.send_signal(getattr(signal, f"SIG{ending}"))
        sent = time.monotonic()
        out, err = process.communicate(timeout=60)
        ended = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        found = [*judge(ended, ending, time.monotonic() - sent)]  # type: ignore[arg-type]
        if ended.returncode < 0 and err.count("interrupted") != 1:
            found.append(f"not one line: {err}")
        problems += [f"after {delay:.3f} s: {one}" for one in found]
    assert problems == []
    assert world.files_left() == []


def test_a_signal_that_was_ignored_from_the_start_stays_ignored(world: World) -> None:
    """As for a background job of a script, or behind nohup."""
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" INT HUP; exec "$@"', "sh", sys.executable, "-m", "cog_nix", "--help"],
        cwd=world.project,
        env=world.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    for number in (signal.SIGINT, signal.SIGHUP):
        time.sleep(0.1)
        process.send_signal(number)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


_WORK = """
import os, signal, sys, threading, time
from cog_nix.cli import interrupts
from cog_nix.system.processes import run
interrupts.watch()
def end():
    os.kill(os.getpid(), signal.SIGTERM)
def work():
    {body}
    return 0
interrupts.finish(work, 130)
"""
_SLOW = "print('ready', flush=True); run([{child}])"
_SERVES = "interrupts.answer_interrupt(); print('ready', flush=True); time.sleep(60)"


def test_a_server_in_the_background_of_a_script_is_ended_by_sigint(world: World) -> None:
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", _WORK.format(body=_SERVES)],
        cwd=world.project,
        env=world.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT


_STUBBORN = """
import subprocess, sys
grandchild = subprocess.Popen(["sleep", "1000"])
print(grandchild.pid, file=sys.stderr, flush=True)
grandchild.wait()
"""


@pytest.mark.parametrize("ending", ["INT", "TERM", "HUP", "KILL"])
def test_children_and_theirs_end_with_their_parent(world: World, ending: str) -> None:
    child = f"sys.executable, '-c', {_STUBBORN!r}"
    process = subprocess.Popen(
        [sys.executable, "-c", _WORK.format(body=_SLOW.format(child=child))],
        cwd=ROOT,
        env=world.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    deadline = time.monotonic() + 30
    while not any("sleep" in one for one in world.processes()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert any("sleep" in one for one in world.processes())
    process.send_signal(getattr(signal, f"SIG{ending}"))
    process.stdout.close()
    assert process.wait(30) == -getattr(signal, f"SIG{ending}")
    assert world.left() == []


_BUILDING = """
import sys
from cog_nix.system import warden
from cog_nix.system.child import Child
from cog_nix.store.ahead import Values
with Values({}) as values, Child(sys.argv[1:], warden.environment(values.environment())) as child:
    child.wait()
"""


@pytest.mark.nix
def test_a_builder_ends_that_lost_its_nix_too(world: World) -> None:
    """Nix 2.8 has its builders in namespaces of their own, where no signal to a group reaches them."""
    slow = (
        'derivation { name = "slow"; system = builtins.currentSystem; '
        'builder = "/bin/sh"; args = [ "-c" "/bin/sleep 1000" ]; }'
    )
    options = {"sandbox": "true", "sandbox-paths": "/bin /lib /lib64 /usr", "build-users-group": ""}
    command = ["nix-build", "--store", str(world.folder / "store"), "--no-out-link", "--expr", slow]
    for name, value in options.items():
        command += ["--option", name, value]
    process = subprocess.Popen(
        [sys.executable, "-c", _BUILDING, *command],
        cwd=ROOT,
        env=world.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not any("sleep" in one for one in world.processes()) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    assert any("sleep" in one for one in world.processes())
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert world.left() == []
    subprocess.run(["chmod", "-R", "u+w", str(world.folder / "store")], check=True)


def _interrupted(body: str) -> subprocess.CompletedProcess[str]:
    """Do some work that a signal ends, and see that this was said in one line; return what it wrote."""
    code = _WORK.format(body="\n    ".join(body.strip().splitlines()))
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == -signal.SIGTERM, finished
    assert finished.stderr == "interrupted by SIGTERM; run the same command again to carry on\n"
    return finished


@pytest.mark.slow
@pytest.mark.parametrize("name", ["__init__", "__enter__", "__exit__"])
def test_what_is_made_or_undone_is_not_left_half_way(name: str) -> None:
    body = f"""
class Thing:
    def __enter__(self): pass
    def __exit__(self, *_): pass
    def {name}(self, *_):
        end()
        for number in range(20):
            time.sleep(0.01)
        print("whole")
with Thing():
    pass
time.sleep(60)
"""
    assert _interrupted(body).stdout == "whole\n"


def test_what_fails_before_it_is_interrupted_is_a_consequence_too() -> None:
    """A program that got the same signal has ended, and whoever waits for it is just being made."""
    body = """
class Thing:
    def __init__(self):
        end()
        raise OSError("the program has ended")
Thing()
"""
    _interrupted(body)


def test_a_signal_that_comes_with_the_end_changes_nothing() -> None:
    code = _WORK.format(body="class Thing:\n        def __init__(self): end()\n    Thing()")
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, b"")


def test_what_hangs_while_it_is_made_is_interrupted_in_the_end() -> None:
    body = """
class Thing:
    def __init__(self):
        end()
        time.sleep(60)
Thing()
"""
    began = time.monotonic()
    _interrupted(body)
    assert time.monotonic() - began < 30


def test_a_signal_that_another_thread_gets_interrupts_what_the_main_thread_waits_for() -> None:
    body = """
other = lambda: time.sleep(0.2) or signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
threading.Thread(target=other, daemon=True).start()
threading.Event().wait(60)
"""
    began = time.monotonic()
    _interrupted(body)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "consequence",
    [
        "threading.Thread(target=print).join()",
        "raise OSError('the folder is gone')",
        "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join(); raise",
        "sys.exit(1)",
    ],
)
def test_what_is_raised_on_the_way_out_is_nobodys_to_read(consequence: str) -> None:
    _interrupted(f"try:\n    end()\n    time.sleep(60)\nfinally:\n    {consequence}")


def test_an_end_while_a_module_is_imported_that_the_end_needs(world: World) -> None:
    """What undoes things imports some modules when it is called."""
    code = (
        "import atexit, os, signal, sys; from cog_nix.cli import interrupts; interrupts.watch()\n"
        "import threading, time; threading.Thread(target=lambda: time.sleep(0.2) or 1 / 0).start()\n"
        "atexit.register(lambda: time.sleep(0.5) or __import__('half').whole())\n"
        "import half"
    )
    (world.folder / "half.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\ndef whole(): ...\n"
    )
    environment = world.environment
    environment["PYTHONPATH"] += os.pathsep + str(world.folder)
    finished = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == -signal.SIGTERM
    assert finished.stderr == "interrupted by SIGTERM; run the same command again to carry on\n"


def test_what_a_killed_process_made_is_removed_by_the_next_command(world: World) -> None:
    code = (
        "import os, signal; from pathlib import Path; from cog_nix.system import scratch\n"
        "with scratch.folder('run') as one, scratch.beside(Path('image.tar').absolute()) as two:\n"
        "    (one / 'closed').mkdir(); (one / 'closed/file').touch(); (one / 'closed').chmod(0)\n"
        "    two.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=world.project, env=world.environment, check=False)
    assert len(world.files_left()) == 3
    assert world.run("--version").returncode == 0
    assert world.files_left() == []


def test_what_a_living_process_made_stays(world: World) -> None:
    code = (
        "import sys; from cog_nix.system import scratch\n"
        "with scratch.folder('run') as one:\n"
        "    print(one, flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=world.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert world.run("--version").returncode == 0
    assert folder.is_dir()
    process.communicate()
    assert world.files_left() == []


def test_what_somebody_still_writes_to_is_removed_later(world: World) -> None:
    code = (
        "import os; from pathlib import Path; from cog_nix.system import scratch\n"
        "removing = scratch.remove\n"
        "def remove(path):\n"
        "    removing(path); os.mkdir(path)\n"
        "scratch.remove = remove\n"
        "with scratch.folder('run'): pass\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=world.project, env=world.environment, check=True)
    assert len(world.files_left()) == 2
    assert world.run("--version").returncode == 0
    assert world.files_left() == []


def test_a_record_removes_nothing_that_has_another_name(world: World, tmp_path: Path) -> None:
    assert world.cache is not None
    mine = tmp_path / "thesis.txt"
    mine.touch()
    (world.cache / "running").mkdir(parents=True)
    (world.cache / "running/1-00000000").write_bytes(f"{mine}\0../x\0\0/\0".encode())
    assert world.run("--version").returncode == 0
    assert mine.exists()
    assert world.files_left() == []
