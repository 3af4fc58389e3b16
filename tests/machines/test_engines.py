"""Each engine by itself, and none, on machines with each layout of cgroups: an image that was built runs."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.hosts import Host, bootstrap

from .conftest import CASES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from tests.hosts import Cgroups

    from .conftest import Case, Demo

pytestmark = [pytest.mark.network, pytest.mark.nix, pytest.mark.root]

ENGINES = {"crun": "/usr/bin/crun", "runc": "/usr/sbin/runc", "bwrap": "/usr/bin/bwrap"}
PACKAGES = ("python3", "crun", "runc", "bubblewrap")
DECIDED = """
from cog_nix.system.paths import cache_dir
from cog_nix.plugins.bring import bring
from cog_nix.report import SilentReporter
from cog_nix_hooks.bundle.choice import decide
from cog_nix_hooks.bundle.programs import Programs

found = decide(cache_dir() / "bundle", Programs(lambda: bring("container", SilentReporter())))
print(getattr(found, "path", found))
"""


@dataclass(frozen=True)
class Machine:
    """A machine with all engines, and with what the demos left for each of its users."""

    host: Host
    demos: tuple[Demo, ...]

    @contextmanager
    def only(self, engine: str | None) -> Iterator[None]:
        """Take all other engines away meanwhile."""
        others = [path for name, path in ENGINES.items() if name != engine]
        for path in others:
            self.host.check(["mv", path, f"{path}.away"])
        yield
        for path in others:
            self.host.check(["mv", f"{path}.away", path])

    def run(self, case: Case, *command: str) -> str:
        """Run a program of the virtual environment that this user's demo has made."""
        return self.host.check([f"{case.clone}/.venv/bin/{command[0]}", *command[1:]], user=case.user)


@pytest.fixture(
    scope="module",
    params=[("bookworm", "v1"), ("bookworm", "both"), ("bookworm", "v2"), ("trixie", "both")],
    ids="-".join,
)
def machine(
    request: pytest.FixtureRequest, demos: dict[str, Future[Demo]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A machine with each layout of cgroups, and the newer engines where the older ones have trouble."""
    suite: str = request.param[0]
    cgroups: Cgroups = request.param[1]
    done = tuple(demos[case.name].result() for case in CASES if case.suite == suite)
    binds: dict[str, Path] = {}
    for demo in done:
        for place in (demo.case.clone, f"{demo.case.home}/.cache"):
            binds[place] = demo.path(place)
    folder = tmp_path_factory.mktemp("engines") / "m"
    with Host(bootstrap(suite, PACKAGES), folder, cgroups, binds=binds) as host:
        yield Machine(host, done)


@pytest.mark.parametrize("engine", [*ENGINES, None])
def test_an_image_runs_with_each_engine_alone(engine: str | None, machine: Machine) -> None:
    text = f"{engine} and {machine.host.cgroups}"
    with machine.only(engine):
        for case in (demo.case for demo in machine.demos):
            decided = machine.run(case, "python", "-c", DECIDED).strip()
            if engine:
                assert decided == ENGINES[engine]
            else:
                assert decided.startswith(f"{case.home}/.cache/cog-nix/programs/")
            if not case.docker and (case.user != "root" or machine.host.cgroups == "both"):
                said = machine.run(case, "cog-nix", "run", "cog-hello-world", "-i", f"text={text}")
                assert said == f"hello {text}\n"
