"""`make demo` on machines that have just been installed, each once a session and two at a time."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hosts import USER, Cgroups, Host, bootstrap

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCKER = Path("/run/docker.sock")


@dataclass(frozen=True)
class Case:
    """A machine, and who sits at it."""

    name: str
    suite: str
    packages: tuple[str, ...]
    """Installed when it is new. ``make`` is what the reader types."""
    user: str
    cgroups: Cgroups
    docker: bool = False

    @property
    def home(self) -> str:
        """The user's home folder."""
        return "/root" if self.user == "root" else f"/home/{self.user}"

    @property
    def clone(self) -> str:
        """Where the repository is."""
        return f"{self.home}/cog-nix"


CASES = (
    Case("root", "bookworm", ("make",), "root", "both"),
    Case("sudo-docker", "trixie", ("make", "sudo"), USER, "v1", docker=True),
    Case("plain", "bookworm", ("make", "python3-venv"), USER, "v2"),
)


@dataclass(frozen=True)
class Demo:
    """What came of it."""

    case: Case
    folder: Path
    """Of the machine."""
    runs: tuple[subprocess.CompletedProcess[str], ...]
    without_daemon: bool
    """Whether the daemonless runtime was used."""

    def path(self, inside: str) -> Path:
        """Return where a path of the user's home is on this machine."""
        return self.folder / "plain" / inside.lstrip("/")


@pytest.fixture(scope="session")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Demo]]]:
    """The demos by their cases' names, once they have ended."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(bootstrap, sorted({case.suite for case in CASES})))  # half of the time is this
        folders = {case: tmp_path_factory.mktemp(case.name) / "machine" for case in CASES}
        yield {case.name: pool.submit(_demo, case, folder) for case, folder in folders.items()}
        pool.shutdown(cancel_futures=True)  # nobody asked for these
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)  # half a gigabyte each


def _demo(case: Case, folder: Path) -> Demo:
    docker = case.docker and DOCKER.exists()
    binds = {str(DOCKER): DOCKER} if docker else {}
    groups = (DOCKER.stat().st_gid,) if docker else ()
    root = bootstrap(case.suite, case.packages)
    with Host(root, folder, case.cgroups, binds=binds, sudo="sudo" in case.packages, groups=groups) as host:
        demo = Demo(case, folder, (), without_daemon=False)
        clone_tree(demo.path(case.clone))
        host.check(["chown", "-R", f"{case.user}:", case.clone])
        # The second time everything is there.
        runs = [host.run(["make", "demo"], user=case.user, cwd=case.clone, timeout=1000) for _ in range(2)]
    without_daemon = (demo.path(case.home) / ".cache/cog-nix/bundle").exists()
    return Demo(case, folder, tuple(runs), without_daemon)


def clone_tree(target: Path) -> None:
    """Copy what Git has, or would have, of the tree that is tested."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    for name in filter(None, listed.split(b"\0")):
        source = ROOT / os.fsdecode(name)
        if source.is_symlink() or source.exists():
            (target / os.fsdecode(name)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / os.fsdecode(name), follow_symlinks=False)
