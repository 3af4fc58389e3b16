"""A secret that cog-nix was given is not where other programs of the same user look."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Person

pytestmark = [pytest.mark.root]

SECRET = "correct-horse-battery-stable"  # noqa: S105 - what nobody may find
_HOLDER = """\
import os, subprocess, sys
from pathlib import Path
from cog_nix.system.processes import run, start_process
from cog_nix.run_commands import secrets
found = secrets.parse(["id=token,env=TOKEN"], Path.cwd(), os.environ)
GUARD
held = found["token"].read(os.environ)
pipe = start_process(["sleep", "600"])
print("ready", os.getpid(), pipe.pid, flush=True)
pipe.stdin.write(held.decode()); pipe.stdin.flush()
sys.stdin.read()
pipe.kill()
"""
_SPY = r"""
import os, sys
secret, found = sys.argv[1].encode()[::-1], []
for pid in sys.argv[2:]:
    for name in ("environ", "cmdline", "fd/0", "fd/3", "fd/5", "mem"):
        path = f"/proc/{pid}/{name}"
        try:
            with open(path, "rb", buffering=0) as stream:
                if name == "mem":
                    found.append(name)
                    continue
                os.set_blocking(stream.fileno(), False)
                data = stream.read(1 << 20) or b""
        except OSError:
            continue
        if secret in data:
            found.append(f"{pid} {name}")
print("FOUND", found)
"""


def look(person: Person, home: Path, *, guarded: bool) -> tuple[str, str]:
    """Return what a spy of the same user finds at the holder of a secret, and at what it started."""
    program = _HOLDER.replace("GUARD", "secrets.guard(found.values())" if guarded else "")
    who = {"user": person.uid, "group": person.uid, "extra_groups": []} if person.uid else {}
    holder = subprocess.Popen(
        [person.python, "-B", "-c", program],
        cwd=home,
        env={**os.environ, "PYTHONPATH": person.packages, "TOKEN": SECRET},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **who,  # type: ignore[call-overload]
    )
    try:
        _, own, started = holder.stdout.readline().split()
        spied = [person.run("-c", _SPY, SECRET[::-1], pid, cwd=home).stdout for pid in (own, started)]
        return spied[0], spied[1].replace(f"{started} ", "")
    finally:
        holder.communicate()


def test_another_program_of_the_user_finds_nothing(person: Person, home: Path) -> None:
    own, started = look(person, home, guarded=True)
    if person.uid:  # nobody is closed off from root
        assert own == "FOUND []\n"
    assert "environ" not in started


def test_it_would_find_it_otherwise(person: Person, home: Path) -> None:
    own, started = look(person, home, guarded=False)
    assert "environ" in own
    assert "environ" in started
