"""The sandbox beside Nix: what a builder sees of the machine, and what others see of the builder."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.namespaces import sandbox
from cog_nix.resolve.seed import store_name
from cog_nix.run_commands import execute
from cog_nix.store import nix
from cog_nix.store.paths import tree_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .conftest import Folder

SECRET = "correct-horse-battery-staple"  # noqa: S105 - what nobody else may find
PLAIN_USER, SOMEBODY = 12345, 65534

pytestmark = [pytest.mark.nix, pytest.mark.network]

LOOK = r"""
import json, os, pathlib, socket, sys
def attempt(action):
    try:
        return action() or "done"
    except OSError as error:
        return error.strerror
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
def reach(name):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name)
def serve():
    with socket.socket() as client:
        client.connect(("127.0.0.1", int(sys.argv[2])))
pathlib.Path("/out/run").write_text(json.dumps({
    "root": sorted(os.listdir("/")),
    "dev": sorted(os.listdir("/dev")),
    "etc": sorted(os.listdir("/etc")),
    "processes": [name for name in os.listdir("/proc") if name.isdigit()],
    "environment": dict(os.environ),
    "user": os.getuid(),
    "groups": sorted(set(os.getgroups()) - {os.getgid(), 65534}),
    "status": {key: status[key].strip() for key in ("CapEff", "CapPrm", "CapInh", "CapAmb", "NoNewPrivs")},
    "host": os.uname().nodename,
    "terminal": attempt(lambda: open("/dev/tty").close()),
    "store": attempt(lambda: open("/nix/store/new", "w").close()),
    "device": attempt(lambda: os.mknod("/build/disk", 0o60600, os.makedev(254, 0))),
    "sysctl": attempt(lambda: open("/proc/sys/vm/swappiness", "w").close()),
    "socket": attempt(lambda: reach(sys.argv[1])),
    "network": attempt(serve),
    "input": sys.stdin.read(),
}))
print("printed", flush=True)
sys.stderr.write("and this\n")
"""

WAIT = r"""
import json, os, sys, time
secret = sys.stdin.read()
os.mkdir("/dev/shm/places")
open("/dev/shm/places/0", "w").write(secret)
open("/build/written", "w").write(secret)
if not os.fork():
    waiting = "import time; open('/build/ready', 'w').close(); time.sleep(600)"
    os.execve(sys.argv[1], [*json.loads(sys.argv[2]), "-c", waiting], {"TOKEN": secret})
os.wait()
"""

SPY = r"""
import os, sys
found = bytearray()
def take(path):
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        found.extend(os.read(handle, 1 << 20))
    except OSError:
        pass
    os.close(handle)
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline", "fd/0", "root/dev/shm/places/0", "root/build/written", "cwd/written"):
        take(f"/proc/{pid}/{name}")
for folder in sys.argv[1:]:
    for parent, folders, files in os.walk(folder):
        for name in files:
            take(os.path.join(parent, name))
sys.stdout.buffer.write(found)
"""


@dataclass(frozen=True)
class Seed:
    """The builders' Python, and the store that it is in."""

    nix: nix.Nix
    command: list[str]


@pytest.fixture(scope="module")
def seed(built: tuple[Folder, str, str]) -> Seed:
    """Return what starts Python in the sandbox."""
    locked = json.loads(built[0].lock)["seed"]
    path = tree_path(locked["nar_sha256"], store_name(locked["python"]))
    loader = [f"{path}/lib64/ld-linux-x86-64.so.2", "--library-path", f"{path}/usr/lib/x86_64-linux-gnu"]
    found = nix.discover()
    return Seed(found, [*loader, f"{path}/usr/bin/python{locked['python']}", "-S", "-B"])


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a sandbox's folder; other users may look for it."""
    made = Path(tempfile.mkdtemp(prefix="cog-nix-run-"))
    made.chmod(0o711)
    for part in ("root", "build", "out"):
        (made / part).mkdir(mode=0o700)
    yield made
    shutil.rmtree(made)


def look(seed: Seed, folder: Path, name: str, port: int) -> Mapping[str, Any]:
    """Return what a builder finds."""
    invocation = folder / "invocation"
    command = [*seed.command, "-c", LOOK, name, str(port)]
    invocation.write_text(json.dumps({"command": command, "environment": {"A": "b"}, "spec": {"c": "d"}}))
    lines: list[str] = []
    with execute.executed(invocation, seed.nix, "run", "handed", lines.append) as outcome:
        assert outcome.status == 0, outcome.said
        assert lines == outcome.said == ["printed", "and this"]
        found: Mapping[str, Any] = json.loads(outcome.output.read_text())
    assert not outcome.output.parent.exists()
    return found


def test_a_builder_sees_what_it_is_shown(
    seed: Seed, folder: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COG_NIX_TEST_VARIABLE", "must not be seen")
    found = look(seed, folder, "nobody", port)
    assert found["root"] == ["build", "dev", "etc", "nix", "out", "proc", "tmp"]
    devices = {"full", "null", "ptmx", "pts", "random", "shm", "tty", "urandom", "zero"}
    assert set(found["dev"]) == devices | {"fd", "stdin", "stdout", "stderr"}
    assert set(found["etc"]) <= {"hosts", "resolv.conf"}
    assert found["processes"] == ["1"]
    assert found["environment"].pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"  # Python's own (PEP 538)
    assert found["environment"] == {
        "A": "b",
        "HOME": "/homeless-shelter",
        "NIX_BUILD_TOP": "/build",
        "TMPDIR": "/build",
        "out": "/out/run",
        "specPath": "/build/spec",
    }
    assert found["host"] == "localhost"
    assert (found["network"], found["input"]) == ("done", "handed")


def test_a_builder_has_no_rights(seed: Seed, folder: Path, port: int) -> None:
    found = look(seed, folder, "nobody", port)
    assert found["user"] != 0
    assert found["groups"] == []
    none = "0" * 16
    expected = {"CapEff": none, "CapPrm": none, "CapInh": none, "CapAmb": none, "NoNewPrivs": "1"}
    assert found["status"] == expected
    assert found["store"] == "Read-only file system"
    assert found["device"] == "Operation not permitted"
    assert found["sysctl"] == "Permission denied"
    assert found["terminal"] == "No such device or address"


@pytest.mark.skipif(
    tuple(map(int, os.uname().release.split(".")[:2])) < (6, 12), reason="Landlock cannot scope sockets yet"
)
def test_a_builder_reaches_no_socket_that_has_a_name_and_no_file(seed: Seed, folder: Path, port: int) -> None:
    name = f"cog-nix-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        assert look(seed, folder, name, port)["socket"] == "Operation not permitted"


def spy(user: int, *folders: Path) -> bytes:
    """Return what a user finds in other processes and in some folders."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    assert python, "the machine has a Python that everybody may run"
    command = [python, "-I", "-c", SPY, *map(str, folders)]
    who = {"user": user, "group": user, "extra_groups": []} if user else {}
    return subprocess.run(command, capture_output=True, check=True, cwd="/", **who).stdout  # type: ignore[call-overload, no-any-return]


@pytest.mark.root
@pytest.mark.parametrize("user", [pytest.param(0, id="root"), pytest.param(PLAIN_USER, id="plain-user")])
def test_another_user_finds_no_secret(user: int, seed: Seed, folder: Path) -> None:
    program = shutil.copy(sandbox.__file__, folder / "sandbox.py")
    for part in (folder, *folder.iterdir()):
        os.chown(part, user, user)
    inside = [seed.command[0], json.dumps(seed.command)]
    told = {
        "shown": {"/nix/store": str(seed.nix.store_dir)},
        "folder": str(folder),
        "command": [*seed.command, "-c", WAIT, *inside],
        "environment": {},
        "network": True,
    }
    who = {"user": user, "group": user, "extra_groups": []} if user else {}
    python = "/usr/bin/python3" if user else sys.executable
    process = subprocess.Popen([python, "-I", program, json.dumps(told)], stdin=subprocess.PIPE, **who)  # type: ignore[call-overload]
    try:
        process.stdin.write(SECRET.encode())
        process.stdin.close()
        while not (folder / "build/ready").exists():
            assert process.poll() is None, "it ended too early"
        assert SECRET.encode() in spy(0, folder), "whoever may look, finds it"
        assert SECRET.encode() not in spy(SOMEBODY, folder)
        if not user:
            assert SECRET.encode() not in spy(PLAIN_USER, folder)
    finally:
        process.kill()
        process.wait()
