"""Where faults are made: a project, its cache and temporary files, and what may not be left in them."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.system import scratch
from cog_nix.system.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
MARK = "COG_NIX_FAULTS"
"""In the environment of everything that is started here."""
PREDICTOR = """from cog import BaseRunner


class Runner(BaseRunner):
    def run(self, text: str) -> str:
        return text
"""
CONFIG = 'build:\n  python_version: "3.13"\nrun: run.py:Runner\n'

_SECONDS_TO_END = 60
"""More than is given to what is left: 12 s by the warden, 20 s where a container may still be made."""
_SERVICE = "podman system service"
"""It stays for a minute, because it serves the next commands too."""
_OURS = {"cog.yaml", "run.py", "requirements.txt", "cog-nix.lock", "result", ".cog", ".dockerignore"}
_UNFINISHED = re.compile(
    r"\.?cog-nix-[a-z]+(-[0-9a-f]{8})?-[0-9a-f]{12}|.*\.part|\.new-.*|\.tmp.*|nix-build-.*"
)


def warm_cache(folder: Path) -> Path:
    """Return a cache of one's own that has what the user's has; nothing is copied."""
    known = cache_dir()
    if known.is_dir():
        # What others are just writing may vanish meanwhile.
        subprocess.run(["cp", "--archive", "--link", known, folder], check=False, capture_output=True)
        for path in [*(folder / "running").glob("*"), *folder.rglob("*")]:
            if path.parent.name == "running" or _UNFINISHED.fullmatch(path.name):
                scratch.remove(str(path))
    return folder


@dataclass
class World:
    """A project and all that its commands write to.

    Args:
        folder: an empty one.
        cache: ``COG_NIX_CACHE_DIR``; None: the user's.
        store: ``COG_NIX_STORE``; None: the system's.
        extra: more variables.
    """

    folder: Path
    cache: Path | None = None
    store: Path | None = None
    extra: dict[str, str] = field(default_factory=dict)
    token: str = field(default_factory=lambda: secrets.token_hex(4))

    def __post_init__(self) -> None:
        self.project.mkdir(parents=True)
        self.temporary.mkdir()
        self._cgroups = set(_cgroups())
        (self.project / "cog.yaml").write_text(CONFIG)
        (self.project / "run.py").write_text(PREDICTOR)

    @property
    def name(self) -> str:
        """Name of the project's folder, and part of its image's."""
        return f"faults-{self.token}"

    @property
    def project(self) -> Path:
        return self.folder / self.name

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a command; its cog-nix is this one."""
        path = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
        places = {"COG_NIX_CACHE_DIR": self.cache, "COG_NIX_STORE": self.store}
        return {
            **os.environ,
            "PYTHONPATH": path,
            "TMPDIR": str(self.temporary),
            MARK: self.token,
            **{name: str(place) for name, place in places.items() if place},
            **self.extra,
        }

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Start a command in a group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "cog_nix", *arguments],
            cwd=cwd or self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self, *arguments: str, cwd: Path | None = None, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, cwd=cwd)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            err += f"\n(ended: it took longer than {timeout:g} s)"
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def image_id(self) -> str:
        """Return the id of what ``./result`` leads to."""
        said = json.loads(subprocess.check_output([self.project / "result", "--inspect"], text=True))
        return str(said.get("id") or said)

    def processes(self) -> list[str]:
        """Return what still runs of all that was started here, builders included."""
        found = (f"{pid} {_command(pid)}" for pid in _processes(self.token, str(self.folder)))
        return [one for one in found if _SERVICE not in one]

    def left(self) -> list[str]:
        """Return what no command may leave behind: processes are given some time to end."""
        deadline = time.monotonic() + _SECONDS_TO_END
        while (running := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return [
            *(f"process {one}" for one in running),
            *(f"mount {one}" for one in _mounts(str(self.folder))),
            *(f"container {one}" for one in _containers(self.name)),
            *(f"cgroup {one}" for one in set(_cgroups()) - self._cgroups),
        ]

    def files_left(self) -> list[str]:
        """Return the files that the next command should have removed."""
        found = list(self.temporary.iterdir())
        found += [path for path in self.project.iterdir() if path.name not in _OURS]
        found += [path for path in (self.project / ".cog").rglob("*") if _UNFINISHED.fullmatch(path.name)]
        if self.cache:
            found += [path for path in self.cache.rglob("*") if _UNFINISHED.fullmatch(path.name)]
            found += (self.cache / "running").glob("*")
        if self.store:
            found += [path for path in (self.store / "nix/store").glob("*") if path.suffix == ".chroot"]
            found += (self.store / "nix/store").glob(".cog-nix-*")
        return [str(path) for path in found]

    def remove(self) -> None:
        """Remove everything, images in Docker and Podman too."""
        for program in _engines():
            subprocess.run([program, "rmi", "--force", f"cog-{self.name}"], check=False, capture_output=True)
        subprocess.run(["chmod", "-R", "u+w", self.folder], check=True)
        shutil.rmtree(self.folder)


def _processes(token: str, folder: str) -> Iterator[int]:
    """Yield those that carry the mark, and those that see the folder in a mount namespace of their own."""
    mark, own = f"{MARK}={token}".encode(), Path("/proc/self/ns/mnt").readlink()
    for proc in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            marked = mark in (proc / "environ").read_bytes().split(b"\0")
            inside = (proc / "ns/mnt").readlink() != own
            if marked or (inside and _sees(proc, folder)):
                yield int(proc.name)


def _sees(proc: Path, folder: str) -> bool:
    """Whether a part of the folder is mounted somewhere for a process: what a mount's root is (proc(5))."""
    part = "/".join(folder.split("/")[-2:])
    return any(part in line.split(" ")[3] for line in (proc / "mountinfo").read_text().splitlines())


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")[:200]
    except OSError:
        return ""


def _mounts(folder: str) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if f" {folder}/" in line and " - tmpfs none " not in line]


def _engines() -> list[str]:
    return [program for program in ("docker", "podman") if shutil.which(program)]


def _containers(name: str) -> list[str]:
    """Return containers of images of this name, in any state."""
    lines: list[str] = []
    for program in _engines():
        listed = subprocess.run(
            [program, "ps", "--all", "--format", "{{.Names}} {{.Image}}"],
            check=False,
            capture_output=True,
            text=True,
        )
        lines += [f"{program} {line}" for line in listed.stdout.splitlines() if name in line]
    return lines


def _cgroups() -> list[str]:
    """Return control groups that are named after a process of ours which is gone."""
    found = []
    for parent, folders, _ in os.walk("/sys/fs/cgroup"):
        for name in folders:
            owner = re.match(r"cog-nix-(\d+)-", name)
            if owner and not Path("/proc", owner[1]).exists():
                found.append(f"{parent}/{name}")
    return found
