"""The archive that this machine's apt uses: do we choose what apt chooses?"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from cog_nix.errors import LockError
from cog_nix.plugins.spec import SystemRequest
from cog_nix.report import SilentReporter
from cog_nix_hooks import debian
from cog_nix_hooks.debian import cog_base
from cog_nix_hooks.debian.archive import open_suite
from cog_nix_hooks.debian.names import Names
from cog_nix_hooks.debian.relations import Relation
from cog_nix_hooks.debian.release import find_keyring
from cog_nix_hooks.debian.renamed import NOT_NEEDED, RENAMED
from cog_nix_hooks.debian.settings import DebianSettings
from cog_nix_hooks.debian.solver import Solver
from cog_nix_hooks.debian.sources import find_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cog_nix.plugins.spec import Context

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not shutil.which("apt-get"), reason="needs apt's sources and apt to compare with"),
]

# Images of Debian for containers switch these off, and each apt-get then reads the whole index anew.
APT_GET = ("apt-get", "-oDir::Cache::pkgcache=pkgcache.bin", "-oDir::Cache::srcpkgcache=srcpkgcache.bin")
SUITES = {"bookworm": "3.11", "trixie": "3.13"}

MOST = """
libglib2.0-0 libgl1-mesa-glx ffmpeg libsm6 libxext6 git libsndfile1 wget cmake libgl1 libxrender-dev
build-essential ninja-build pkg-config libgomp1 libxrender1 libgl1-mesa-dev python3-opencv libmagic1 zip
espeak-ng mesa-utils-extra
"""
"""What published cog.yaml files name most, in the order of how often they do."""
ONCE = """
aria2 clang curl freeglut3 freeglut3-dev git-lfs imagemagick libasound2-dev libatlas-base-dev
libavcodec-dev libavformat-dev libboost-all-dev libcairo2-dev libegl1-mesa libegl1-mesa-dev
libeigen3-dev libffi-dev libgles2-mesa-dev libglew-dev libglfw3 libglu1-mesa libgoogle-perftools4
libgtk2.0-dev libjpeg-dev libmagickwand-dev libopenblas-dev libopencv-dev libosmesa6-dev libpng-dev
libsndfile1-dev libssl-dev libswscale-dev libtiff5-dev libturbojpeg libxml2-dev poppler-utils
portaudio19-dev python3-distutils rubberband-cli sox tesseract-ocr texlive unzip xvfb zlib1g-dev
"""
"""What single ones name. All are names of Ubuntu."""
ASKED_FOR = tuple(f"{MOST} {ONCE}".split())
NOWHERE = {
    "cuda-toolkit-11-8": "CUDA comes with the Python packages that use it",
    "nvidia-cudnn": "CUDA comes with the Python packages that use it",
    "libgconf-2-4": "GConf left Debian in 2023",
}
"""What trixie has no successor of, and what is said then."""
SAID = {
    "bookworm": {
        "freeglut3 is called libglut3.12 in Debian bookworm; taking that.",
        "libturbojpeg is called libturbojpeg0 in Debian bookworm; taking that.",
    },
    "trixie": {
        "freeglut3 is called libglut3.12 in Debian trixie; taking that.",
        "libatlas-base-dev is called libopenblas-dev in Debian trixie; taking that.",
        "libegl1-mesa is called libegl1 in Debian trixie; taking that.",
        "libgl1-mesa-glx is called libgl1 in Debian trixie; taking that.",
        "libturbojpeg is called libturbojpeg0 in Debian trixie; taking that.",
        f"python3-distutils is not in Debian trixie: {NOT_NEEDED['python3-distutils']}; nothing to install.",
    },
}


class Ears(SilentReporter):
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.infos: set[str] = set()

    def info(self, text: str) -> None:
        self.infos.add(text)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    from cog_nix.config.model import Settings  # noqa: PLC0415
    from cog_nix.fetch.caching import CachingFetcher  # noqa: PLC0415
    from cog_nix.plugins.spec import Context  # noqa: PLC0415

    cache = tmp_path_factory.mktemp("cache")
    return Context(Settings(), CachingFetcher(cache, SilentReporter()), Ears(), cache)


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
        'Acquire::Languages "none";\nAcquire::GzipIndexes "false";\n'
    )
    environment = {**os.environ, "APT_CONFIG": str(root / "apt.conf")}
    subprocess.run([*APT_GET, "update", "-qq"], env=environment, check=True, capture_output=True)
    return environment


def apt_chooses(names: list[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return versions by package; a list of files to fetch takes apt a third of the time of a simulation."""
    told = subprocess.run(
        [*APT_GET, "install", "-qq", "--print-uris", *names],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # 'URL' NAME_VERSION_ARCHITECTURE.deb SIZE HASH
    files = (unquote(line.split()[1]).split("_") for line in told.splitlines())
    return {name: version for name, version, _ in files}


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
    choice = debian.provide_interpreter(SUITES[suite], None, context)
    assert choice is not None
    assert choice.suite == suite
    request = SystemRequest(
        suite, (("base", ()), ("python", choice.packages), ("system", ASKED_FOR), ("build", ()))
    )
    assert isinstance(context.reporter, Ears)
    context.reporter.infos.clear()
    found = debian.resolve_system_packages(request, context)
    assert found is not None
    assert context.reporter.infos == SAID[suite]
    [base, python, system, build] = found.groups.values()
    assert {"bash", "ca-certificates", "dpkg", "libc6", "tini", "util-linux"} <= {deb.package for deb in base}
    assert len(base) < 70
    assert choice.version_of in {deb.package for deb in python}
    assert {"ffmpeg", "libgl1", "git", "g++"} <= {deb.package for deb in system}
    assert {"bzip2", "file"} <= {deb.package for deb in (*build, *system)}
    every = {deb.package for group in found.groups.values() for deb in group}
    assert all(set(deb.depends) <= every for group in found.groups.values() for deb in group)
    assert debian.resolve_system_packages(request, context) == found


@pytest.mark.parametrize("suite", SUITES)
def test_every_package_of_cogs_base_image_is_there(suite: str, context: Context) -> None:
    request = SystemRequest(suite, (("base", ()), ("system", cog_base.PACKAGES)))
    found = debian.resolve_system_packages(request, context)
    assert found is not None
    have = {deb.package for group in found.groups.values() for deb in group}
    assert set(cog_base.PACKAGES) - have <= {"libglib2.0-0"}
    assert {"libopencv-core-dev", "libglib2.0-dev"} <= have


@pytest.mark.parametrize("name", NOWHERE)
def test_what_no_suite_has_ends_with_the_way_out(name: str, context: Context) -> None:
    request = SystemRequest("trixie", (("system", (name,)),), asked_in={name: "cog.yaml:7"})
    with pytest.raises(LockError) as caught:
        debian.resolve_system_packages(request, context)
    assert f"cog.yaml:7: there is no package '{name}' in Debian trixie." in caught.value.message
    assert NOWHERE[name] in caught.value.message


@pytest.mark.parametrize("suite", SUITES)
def test_every_successor_is_there(suite: str, context: Context) -> None:
    with open_suite(suite, context) as opened:
        missing = {new for new in RENAMED.values() if not opened.catalogue.named(new)}
        gone = {old for old in RENAMED if not opened.catalogue.named(old)}
    assert missing == set()
    assert {"libturbojpeg", "libjpeg8-dev", "python-pip"} <= gone


@pytest.mark.parametrize("word", ["git/trixie", "git:amd64", "git=1:2.*"])
def test_words_are_understood_as_apt_does(
    word: str, context: Context, apt_for: Callable[[str], Mapping[str, str]]
) -> None:
    with open_suite("trixie", context) as opened:
        names = Names(opened.catalogue, {}, context.reporter)
        [[relation]] = names.clauses([word])
        names.check()
        [chosen] = Solver(opened.catalogue, {}).solve([[(relation,)]])
    assert chosen["git"].version == apt_chooses([word], apt_for("trixie"))["git"]


def test_the_debs_are_where_the_lock_says(context: Context) -> None:
    found = debian.resolve_system_packages(
        SystemRequest("trixie", (("system", ("tini", "netbase")),)), context
    )
    assert found is not None
    wanted = [deb.artifact for deb in found.groups["system"] if deb.package in ("tini", "netbase")]
    assert len(context.fetcher.artifacts(wanted)) == 2
