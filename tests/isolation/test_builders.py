"""What builders run as root of a file system of its own cannot get out, and its links lead nowhere."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import PROBE, ROOT, Outcome

if TYPE_CHECKING:
    from .conftest import Machine, Person

pytestmark = [pytest.mark.root]

_MODULES = str(ROOT / "nix/builders")
_BUILDER = str(PROBE.with_name("builder.py"))
_NOT_SHOWN = {"proc", "dev", "sys", "tmp", "run", "nix", "work"}
_NETWORK = {"see_interfaces", "reach_network", "reach_abstract_socket", "see_abstract_sockets"}
"""Nix takes that away, which is not here."""


def told(home: Path, machine: Machine, *arguments: str) -> str:
    """Return what builder.py is told: a system that has the machine's programs, and not all of its files."""
    entries = [entry for entry in os.scandir("/") if entry.name not in _NOT_SHOWN]
    hidden = Path(machine.facts["file"]).parts[1]
    binds = {f"/{entry.name}": entry.path for entry in entries if entry.is_dir() and entry.name != hidden}
    return json.dumps(
        {
            "binds": binds,
            "command": ["/usr/bin/python3", "/escape.py", *arguments],
            "work": str(home),
            "links": [
                "/proc/sys/vm/swappiness",
                "/proc/sys/kernel/core_pattern",
                "/proc/sys/kernel/modprobe",
            ],
        }
    )


def test_neither_foreign_code_nor_links_that_it_leaves_lead_out(
    person: Person, home: Path, machine: Machine
) -> None:
    done = person.run(_BUILDER, told(home, machine, machine.text), cwd=home, PYTHONPATH=_MODULES)
    assert done.returncode == 0, done.stderr
    *lines, links = done.stdout.splitlines()
    assert links == "LINKS []"
    assert len(lines) == 2
    for line in lines:
        found = Outcome.read(line)
        assert found.worked.keys() <= _NETWORK
        assert {"write_swappiness", "call_kernel", "leave_chroot", "read_file"} <= found.refused.keys()
        assert found.state["NoNewPrivs"] == "1"


def test_processes_are_limited(person: Person, home: Path, machine: Machine) -> None:
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if release < ((5, 14) if person.uid else (6, 14)):
        pytest.skip("this kernel limits them for other users only")
    question = told(home, machine, json.dumps({"processes": 10**9}), "fork_without_end")
    program = (
        "import confinement, sys, runpy; confinement.PROCESSES = 400\n"
        f"sys.argv = ['builder', {question!r}]\n"
        f"runpy.run_path({_BUILDER!r}, run_name='__main__')\n"
    )
    done = person.run("-c", program, cwd=home, PYTHONPATH=_MODULES)
    assert done.returncode == 0, done.stderr
    refusal = Outcome.read(done.stdout).refused["fork_without_end"]
    assert "Resource temporarily unavailable after 3" in refusal
