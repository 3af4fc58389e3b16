"""A daemonless container that tries to get out, under each engine and layout of cgroups, as root or not.

What a container of Docker's with the machine's network may do is all that works
(``tests/probes/escape.py`` says what is tried).
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix_hooks.bundle.programs import ENGINES
from tests.hooks.docker.conftest import Store
from tests.hosts import MOUNT_CGROUPS

from .conftest import usable

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

PROBES = Path(__file__).parents[1] / "probes/escape.py"
MODULES = ("cog_nix", "cog_nix_hooks", "pluggy")
NOBODY = 65534
SYSTEM = ("/usr", "/lib", "/lib64")
"""What Python needs of this machine, whose programs run in the container."""
ABSTRACT = f"cog-nix-escape-{os.getpid()}"
ALLOWED = {
    "fork_without_end",  # no limits, as in Docker
    "dump_core",
    "hold_capabilities",  # bubblewrap's bounding set, which no_new_privs makes void
    "open_proc",  # files that nothing can be written to, though root can open them
    *("reach_network", "reach_abstract_socket", "see_abstract_sockets", "see_interfaces"),
    "call_kernel",  # clock_adjtime, to read
    "gain_privileges",  # setuid programs of the image
}
CAPABILITIES = "00000000a00405fb"
ENTERED = ("go_unfiltered", "make_devices", "mount_here", "uncover_here", "write_swappiness", "open_sys")
"""What a command tries that is run beside the container's first process."""
IDLE = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit()); signal.pause()"
LAY_OUT = f"""set -e
{MOUNT_CGROUPS}
layout=$1 user=$2
shift 2
umount --recursive --lazy /sys/fs/cgroup 2>/dev/null || :
mount_cgroups "$layout" /sys/fs/cgroup
[ "$user" != root ] || exec "$@"
exec setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
"""
"""Mounts cgroups as another machine has them, and runs a command as root or a plain user."""
TRY = (
    """
import os, sys
from dataclasses import replace
from pathlib import Path

from cog_nix.report import SilentReporter
from cog_nix.plugins.spec import ContainerRequest
from cog_nix_hooks.bundle.runtime import BundleRuntime

root, image, python, probes, facts, *engines = sys.argv[1:]
bound = [*SYSTEM, str(Path(python).parents[1])]
mounts = tuple((Path(path), path) for path in dict.fromkeys(bound) if Path(path).is_dir())
for engine in engines:
    runtime = BundleRuntime(Path(root, Path(engine).name), engine=engine)
    if why := runtime.available():
        sys.exit(why)
    runtime.load(Path(image), ["escape"], SilentReporter())
    request = ContainerRequest("escape", mounts=(*mounts, (Path(probes), "/probes.py")))
    with runtime.start(replace(request, command=(python, "-c", IDLE))) as container:
        print(container.run((python, "/probes.py", facts, *ENTERED))[1].strip(), flush=True)
    with runtime.start(replace(request, command=(python, "/probes.py", facts))) as container:
        container.wait(100)
        print(container.logs().strip(), flush=True)
    print([path.name for path in Path(root).glob("*/containers/*")], flush=True)
""".replace("SYSTEM", repr(SYSTEM))
    .replace("ENTERED", repr(ENTERED))
    .replace("IDLE", repr(IDLE))
)


@dataclass(frozen=True)
class Attempt:
    """What came of the probes under one engine."""

    engine: str
    beside: dict[str, Any]
    """What worked beside the first process, and what with it."""
    worked: dict[str, Any]
    refused: dict[str, str]
    state: dict[str, str]
    left: str


@dataclass(frozen=True)
class Place:
    """A folder that everybody can read: image, probes and cog-nix; and facts about this machine."""

    folder: Path
    image: Path
    facts: str

    def attempts(self, layout: str, user: str, python: str) -> list[Attempt]:
        """Run the probes under each engine."""
        root = self.folder / f"{layout}-{user}"
        root.mkdir(mode=0o700)
        if user != "root":
            os.chown(root, NOBODY, NOBODY)
        engines = [usable(name) for name in ENGINES]
        words = [str(root), str(self.image), python, str(self.folder / "escape.py"), self.facts, *engines]
        become = "root" if user == "root" else str(NOBODY)
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", LAY_OUT, "sh", layout, become, python, "-c", TRY, *words],
            env={"PATH": os.environ["PATH"], "HOME": str(root), "PYTHONPATH": str(self.folder / "modules")},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        told = [[json.loads(line.removeprefix("ESCAPE ")) for line in lines[of::3]] for of in (0, 1)]
        return [
            Attempt(Path(engine).name, beside["worked"], one["worked"], one["refused"], one["state"], left)
            for engine, beside, one, left in zip(engines, *told, lines[2::3], strict=True)
        ]


@pytest.fixture(scope="module")
def place(readable_python: str) -> Iterator[Place]:
    """Everything that the attempts share."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="cog-nix-escapes-", dir="/tmp"))  # TMPDIR may be private
        stack.callback(shutil.rmtree, folder)
        for name in MODULES:
            origin = Path(str(importlib.import_module(name).__file__)).parent
            shutil.copytree(origin, folder / "modules" / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROBES, folder)
        passwd = {"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n", "tmp/empty": b""}
        image = Store(folder / "store").build(passwd, Env=["PATH=/usr/bin:/bin"], Cmd=["none"])
        image.program.write_text(image.program.read_text().replace(sys.executable, readable_python))
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        (image.program.parent / "calls").chmod(0o666)
        canary = folder / "canary"
        canary.write_text("")
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0{ABSTRACT}")
        abstract.listen(64)
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        facts = {"file": str(canary), "abstract": ABSTRACT, "port": server.getsockname()[1], "processes": 8}
        facts |= {"pid": os.getpid(), "pid_says": Path("/proc/self/cmdline").read_text().split("\0")[0]}
        yield Place(folder, image.program, json.dumps(facts))


@pytest.mark.parametrize("user", ["root", "user"])
@pytest.mark.parametrize("layout", ["v1", "both", "v2"])
def test_no_way_leads_out(layout: str, user: str, place: Place, readable_python: str) -> None:
    for attempt in place.attempts(layout, user, readable_python):
        surprises = {name: found for name, found in attempt.worked.items() if name not in ALLOWED}
        assert (surprises, attempt.beside) == ({}, {}), attempt.engine
        assert attempt.worked["call_kernel"] == ["clock_adjtime"], attempt.engine
        assert attempt.worked["see_abstract_sockets"] == "listed"  # the facts are right
        assert len(attempt.refused) > 30
        assert (attempt.state["CapEff"], attempt.state["CapPrm"]) == (CAPABILITIES, CAPABILITIES)
        assert attempt.left == "[]", attempt.engine
