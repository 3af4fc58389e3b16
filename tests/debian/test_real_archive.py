"""The archive that this machine's apt uses: do we choose what apt chooses?"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import DebianSettings
from cog_nix.spec import SystemRequest
from cog_nix_hooks import debian
from cog_nix_hooks.debian.archive import open_suite
from cog_nix_hooks.debian.relations import Relation
from cog_nix_hooks.debian.release import find_keyring
from cog_nix_hooks.debian.solver import Solver
from cog_nix_hooks.debian.sources import find_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cog_nix.spec import Context

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not shutil.which("apt-get"), reason="needs apt's sources and apt to compare with"),
]

SUITES = {"bookworm": "3.11", "trixie": "3.13"}

ASKED_FOR = (
    "aria2 build-essential clang cmake espeak-ng ffmpeg git git-lfs libgl1 libgl1-mesa-dev libgl1-mesa-glx "
    "libglib2.0-0 libgomp1 libmagic1 libsm6 libsndfile1 libxext6 libxrender-dev libxrender1 mesa-utils-extra "
    "ninja-build pkg-config python3-opencv texlive wget xvfb zip"
)
"""What published cog.yaml files name most."""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    from cog_nix.config.model import Settings  # noqa: PLC0415
    from cog_nix.fetch import CachingFetcher  # noqa: PLC0415
    from cog_nix.report import SilentReporter  # noqa: PLC0415
    from cog_nix.spec import Context  # noqa: PLC0415

    cache = tmp_path_factory.mktemp("cache")
    return Context(Settings(), CachingFetcher(cache, SilentReporter()), SilentReporter(), cache)


@pytest.fixture(scope="module")
def apt_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Mapping[str, str]]:
    """Return the environment of an apt that knows one suite and has nothing installed."""
    made: dict[str, Mapping[str, str]] = {}

    def make(suite: str) -> Mapping[str, str]:
        if suite not in made:
            made[suite] = _apt_root(tmp_path_factory.mktemp(f"apt-{suite}"), suite)
        return made[suite]

    return make


def _apt_root(root: Path, suite: str) -> Mapping[str, str]:
    archive = find_archive(DebianSettings(), os.environ)
    signed = f"[arch=amd64 signed-by={find_keyring(os.environ)}]"
    (root / "sources.list").write_text(
        f"deb {signed} {archive.main} {suite} main\ndeb {signed} {archive.main} {suite}-updates main\n"
        f"deb {signed} {archive.security} {suite}-security main\n"
    )
    (root / "status").touch()
    (root / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{root}/sources.list";\nDir::Etc::sourceparts "-";\nDir::State "{root}";\n'
        f'Dir::State::status "{root}/status";\nDir::Cache "{root}";\nAPT::Sandbox::User "root";\n'
        'APT::Install-Recommends "false";\nAcquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";\n'
        'Acquire::Languages "none";\n'
    )
    environment = {**os.environ, "APT_CONFIG": str(root / "apt.conf")}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=True, capture_output=True)
    return environment


def apt_chooses(names: list[str], environment: Mapping[str, str]) -> dict[str, str]:
    told = subprocess.run(
        ["apt-get", "install", "--simulate", *names],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    words = (line.split() for line in told.splitlines() if line.startswith("Inst "))
    return {word[1]: word[2].strip("(") for word in words}


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize(
    "wanted",
    [
        "ffmpeg git",
        "libgl1 libglib2.0-0 libsm6 libxext6",
        "python3-opencv",
        "build-essential cmake",
        "libreoffice",
    ],
)
def test_the_choice_is_apts(
    suite: str, wanted: str, context: Context, apt_for: Callable[[str], Mapping[str, str]]
) -> None:
    with open_suite(suite, context) as opened:
        # apt counts itself as essential, and installs what is essential whatever is asked for.
        names = sorted({*wanted.split(), "apt", *opened.catalogue.essential()})
        [chosen] = Solver(opened.catalogue, {}).solve([[(Relation(name),) for name in names]])
    ours = {name: package.version for name, package in chosen.items()}
    assert ours == apt_chooses(names, apt_for(suite))


@pytest.mark.parametrize("suite", SUITES)
def test_what_projects_ask_for_resolves(suite: str, context: Context) -> None:
    choice = debian.provide_interpreter(SUITES[suite], context)
    assert choice is not None
    assert choice.suite == suite
    request = SystemRequest(
        suite, (("base", ()), ("python", choice.packages), ("system", tuple(ASKED_FOR.split())))
    )
    found = debian.resolve_system_packages(request, context)
    assert found is not None
    [base, python, system] = found.groups.values()
    assert {"bash", "ca-certificates", "dpkg", "libc6", "tini", "util-linux"} <= {deb.package for deb in base}
    assert len(base) < 70
    assert choice.version_of in {deb.package for deb in python}
    assert {"ffmpeg", "libgl1", "git"} <= {deb.package for deb in system}
    every = {deb.package for group in found.groups.values() for deb in group}
    assert all(set(deb.depends) <= every for group in found.groups.values() for deb in group)
    assert debian.resolve_system_packages(request, context) == found


def test_the_debs_are_where_the_lock_says(context: Context) -> None:
    found = debian.resolve_system_packages(
        SystemRequest("trixie", (("system", ("tini", "netbase")),)), context
    )
    assert found is not None
    wanted = [deb.artifact for deb in found.groups["system"] if deb.package in ("tini", "netbase")]
    assert len(context.fetcher.artifacts(wanted)) == 2
