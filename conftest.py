"""Fixtures that several suites share: images built once a run, with the real Nix and Docker."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent
EXAMPLES = ROOT / "examples"
TOGETHER = (
    ("compat-tests", "tests/examples", "tests/hooks/nvidia"),  # they share images of gigabytes
    ("tests/faults", "tests/machines", "tests/runtimes"),  # who kills looks for control groups that are left
)
"""Folders whose tests never run beside each other."""
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTERM, signal.SIGCHLD)

# How fast examples are made says how busy a machine is, and nothing about the code.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the promises of images be tried in another runtime: ``pytest compat-tests --runtime podman``."""
    parser.addoption("--runtime", default="docker", help="where compat-tests run images (default: docker)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what only root can do where nobody is root; continuous integration is."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="only root can mount and become another user"))


class FoldersApart(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Lets a folder's tests run one after the other, beside those of other folders.

    So what a folder shares is made once, and names of images and ports are a folder's own.
    """

    def _split_scope(self, nodeid: str) -> str:
        parts = nodeid.partition("::")[0].split("/")
        depth = 3 if parts[:2] == ["tests", "hooks"] else 2 if parts[0] == "tests" else 1
        place = "/".join(parts[:depth])
        return next((group[0] for group in TOGETHER if place in group), place)


def pytest_configure(config: pytest.Config) -> None:
    """Take from a worker the width of a terminal that readline told its parent."""
    if hasattr(config, "workerinput"):
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep what is collected out of the garbage collector's rounds: all of it is there to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FoldersApart:
    """Say what may run side by side where pytest is told to: ``--numprocesses 2``."""
    return FoldersApart(config, log)


@pytest.fixture(autouse=True)
def _environment_is_left_alone() -> object:
    """Fail a test that changes os.environ without undoing it."""
    before = dict(os.environ)
    yield
    after = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    before.pop("PYTEST_CURRENT_TEST", None)
    assert after == before, "the test changed os.environ"


@pytest.fixture(autouse=True)
def _signals_are_left_alone() -> object:
    """Fail a test that changes what signals do without undoing it: programs started later inherit it."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    yield
    after = {number: signal.getsignal(number) for number in _SIGNALS}
    assert after == before, "the test changed what signals do"


def cog_nix(*arguments: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would, in a process of its own."""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "hooks")),
    }
    finished = subprocess.run(
        [sys.executable, "-m", "cog_nix", *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and finished.returncode:
        pytest.fail(f"cog-nix {' '.join(arguments)} ended with {finished.returncode}\n{finished.stderr}")
    return finished


def copy_project(source: Path, target: Path, *, locked: bool = False) -> Path:
    """Copy a project as it is in a fresh clone, and return the copy.

    Args:
        source: a project's folder, which somebody may have built.
        target: the folder to make; one that is there is added to.
        locked: whether its lock comes along.
    """
    left = [".cog", "result", "result-*", "__pycache__", *([] if locked else ["cog-nix.lock"])]
    return shutil.copytree(
        source, target, ignore=shutil.ignore_patterns(*left), symlinks=True, dirs_exist_ok=True
    )


@pytest.fixture(scope="session")
def readable_python() -> Iterator[str]:
    """This Python as every user can start it: a copy, where it lies in a folder that only its owner reads."""
    base, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = (base / "bin" / version).resolve()
    if all(one.stat().st_mode & 0o1 for one in (interpreter, *interpreter.parents)):
        yield str(interpreter)
        return
    folder = Path(tempfile.mkdtemp(prefix="cog-nix-python-"))  # pytest's own folders are root's alone
    folder.chmod(0o755)
    left_out = shutil.ignore_patterns("test", "site-packages", "__pycache__", "config-*", "idlelib")
    shutil.copytree(base / "lib" / version, folder / "lib" / version, ignore=left_out)
    for library in (base / "lib").glob("libpython*.so*"):
        shutil.copy(library, folder / "lib")
    (folder / "bin").mkdir()
    shutil.copy(interpreter, folder / "bin" / version)
    yield str(folder / "bin" / version)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def built_copy(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[Path], Path]:
    """Return a function that builds a copy of a project folder and returns the copy."""
    built: dict[Path, Path] = {}
    runtime = request.config.getoption("--runtime")

    def build(project: Path) -> Path:
        if project not in built:
            copy = copy_project(project, tmp_path_factory.mktemp("project") / project.name)
            cog_nix("build", "--runtime", runtime, "-t", f"cog-nix-test-{project.name}", cwd=copy)
            built[project] = copy
        return built[project]

    return build


@pytest.fixture(scope="session")
def build_project(built_copy: Callable[[Path], Path]) -> Callable[[Path], str]:
    """Return a function that builds a copy of a project folder and returns the image's reference."""
    return lambda project: f"cog-nix-test-{built_copy(project).name}:latest"


@pytest.fixture(scope="session")
def built_image(build_project: Callable[[Path], str]) -> Callable[[str], str]:
    """Return a function from an example's name to the reference of its image."""
    return lambda name: build_project(EXAMPLES / name)


@pytest.fixture(scope="session")
def hello_image(built_image: Callable[[str], str]) -> str:
    """Return the reference of examples/hello-world's image."""
    return built_image("hello-world")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Yield Debian's Chromium, for pages that are looked at."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - takes a second, for these tests alone

    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "scripts/setup test installs Chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()
