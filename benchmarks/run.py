"""Run benchmarks and print a table.

::

    python -m benchmarks.run [NAME…]

Without names all are run but ``fetched``, ``thin-push`` and ``from-cache``, which measure the network,
``import-torch``, which needs 12 GB of disk, ``first-answer``, which needs root and debootstrap, those of
large images (``large:6``: 6 GB; see :mod:`benchmarks.large`), and those of containerd's store, which install
a system with another Docker. Each works on a copy of examples/hello-world (the first of these of
examples/torch-demo) and removes what it made. Downloads are cached before anything is timed, so no network
is measured but by those that are said to do so and by ``first-answer``. The comparison, where there is one,
is the least that a Dockerfile could do on this machine: everything but the model's source is in the base
image already, and the Dockerfile copies the source onto it. It says nothing about installing packages.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import cache, fetched, first, heavy, large, push, runtimes, sample
from benchmarks.measure import ROOT, Project, Row, has_docker, project, run, table, timed

sys.path[:0] = [str(ROOT / "hooks"), str(ROOT / "nix/builders")]

import deb  # noqa: E402 - of nix/builders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_TAG = "cog-nix-benchmark:latest"
_BASE = "cog-nix-benchmark-base:latest"
_OTHER = "cog-nix-benchmark-dockerfile:latest"
_MB = 1e6
_MANY = 300


@contextmanager
def _dockerfile(copy: Project) -> Iterator[Callable[[], str] | None]:
    """Yield a function that builds the source onto the project's own image with Docker; None without."""
    if not has_docker():
        yield None
        return
    copy.cog_nix("build", "--no-out-link", "-t", _BASE)
    (copy.folder / "Dockerfile").write_text(f"FROM {_BASE}\nCOPY *.py cog.yaml /src/\n")
    try:
        yield lambda: run(["docker", "build", "--quiet", "--tag", _OTHER, "."], copy.folder)
    finally:
        run(["docker", "rmi", "--force", _OTHER, _BASE], copy.folder)


def no_change() -> Row:
    """Build again when nothing has changed, and Docker has the image."""
    if not has_docker():
        sys.exit("The benchmark no-change needs a Docker daemon.")
    with project("hello-world") as copy, project("hello-world") as other, _dockerfile(other) as build:
        values = _again(copy, "--runtime", "docker", "-t", _TAG)
        baseline = _median(5, build)
        run(["docker", "rmi", "--force", _TAG], copy.folder)
    return Row("no-change", "s", values, 0.15, baseline, "docker build, all cached")


def no_change_without_loading() -> Row:
    """The same without a runtime."""
    with project("hello-world") as copy:
        values = _again(copy, "--no-load")
        start = _median(5, lambda: run([sys.executable, "-c", "pass"], copy.folder))
    return Row("no-change-no-load", "s", values, 0.15, start, "python -c pass")


def _again(copy: Project, *flags: str) -> tuple[float, ...]:
    """Return how long building takes after two builds of the same: a file that is too new is not trusted."""
    for _ in range(2):
        copy.cog_nix("build", *flags)
    return timed(10, lambda _: copy.cog_nix("build", *flags))


def edit() -> Row:
    """Change a line of the source, and have the new image in Docker."""
    if not has_docker():
        sys.exit("The benchmark edit needs a Docker daemon.")
    with project("hello-world") as copy, project("hello-world") as other, _dockerfile(other) as build:

        def once(_: int) -> None:
            copy.edit()
            copy.cog_nix("build", "--no-out-link", "-t", _TAG)

        def once_with_docker(_: int) -> None:
            other.edit()
            if build:
                build()

        once(-1)
        values = timed(8, once)
        once_with_docker(-1)
        baseline = statistics.median(timed(5, once_with_docker))
        run(["docker", "rmi", "--force", _TAG], copy.folder)
    return Row(
        f"edit ({runtimes.docker_title({})})", "s", values, 0.4, baseline, "docker build, source layer only"
    )


def cold() -> Row:
    """Build into an empty store, with a lock and cached downloads."""
    with project("hello-world") as copy, tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as stores:

        def once(number: int) -> None:
            copy.cog_nix("build", "--no-load", "--no-out-link", COG_NIX_STORE=f"{stores}/{number}")

        values = timed(3, once)
        run(["chmod", "-R", "u+w", stores], copy.folder)
    return Row("cold", "s", values, 6)


def lock() -> Row:
    """Resolve everything anew."""
    with project("hello-world") as copy:
        values = timed(3, lambda _: copy.cog_nix("lock", "--upgrade"))
    return Row("lock", "s", values, 10)


def ffmpeg() -> Row:
    """Add ffmpeg to a project that is built: lock and build, with cached downloads."""
    with project("hello-world") as copy, tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as store:
        config = copy.folder / "cog.yaml"
        plain = config.read_text()
        copy.cog_nix("build", "--no-load", "--no-out-link", COG_NIX_STORE=store)
        # Fetches what is not there yet, and nothing else.
        config.write_text(plain.replace("build:\n", "build:\n  system_packages: [ffmpeg]\n"))
        copy.cog_nix("build", "--update-lock", "--no-load", "--no-out-link", COG_NIX_STORE=f"{store}/first")
        config.write_text(plain)
        copy.cog_nix("lock", COG_NIX_STORE=store)

        def once(_: int) -> None:
            config.write_text(plain.replace("build:\n", "build:\n  system_packages: [ffmpeg]\n"))
            copy.cog_nix("build", "--update-lock", "--no-load", "--no-out-link", COG_NIX_STORE=store)

        values = timed(1, once)
        run(["chmod", "-R", "u+w", store], copy.folder)
    return Row("ffmpeg", "s", values, 40)


def resolve() -> Row:
    """Find the 300 packages that ffmpeg and git need, base system included, the index read before."""
    from cog_nix.config.model import Settings  # noqa: PLC0415
    from cog_nix.fetch.caching import CachingFetcher  # noqa: PLC0415
    from cog_nix.plugins.spec import Context, SystemRequest  # noqa: PLC0415
    from cog_nix.report import SilentReporter  # noqa: PLC0415
    from cog_nix.system.paths import cache_dir  # noqa: PLC0415
    from cog_nix_hooks import debian  # noqa: PLC0415

    reporter = SilentReporter()
    context = Context(Settings(), CachingFetcher(cache_dir(), reporter), reporter, cache_dir())
    choice = debian.provide_interpreter("3.13", None, context)
    assert choice is not None
    groups = (("base", ()), ("python", choice.packages), ("system", ("ffmpeg", "git")))

    def once(_: int) -> None:
        found = debian.resolve_system_packages(SystemRequest("trixie", groups), context)
        assert found is not None
        assert sum(map(len, found.groups.values())) >= _MANY

    once(-1)
    return Row("resolve", "s", timed(5, once), 2)


def size() -> Row:
    """Add up the files in the image, and all files of the packages that went into it."""
    with project("hello-world") as copy:
        copy.cog_nix("build", "--no-load")
        image = _files_in(copy.folder / "result")
        whole = sum(map(_unpacked, _packages(copy)))
    return Row("size", "MB", (image / _MB,), 100, whole / _MB, "every file of the same packages")


def _files_in(image: Path) -> int:
    """Return the bytes of all regular files in an image, as Docker counts them."""
    total = 0
    with (
        subprocess.Popen([image], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            if member.name.endswith(".tar"):
                with tarfile.open(fileobj=archive.extractfile(member), mode="r|") as layer:
                    total += sum(entry.size for entry in layer if entry.isreg())
    return total


def _packages(copy: Project) -> list[Path]:
    """Return the downloaded files that the image was made from."""
    from cog_nix.lock import format as lock_format  # noqa: PLC0415
    from cog_nix.system.paths import cache_dir  # noqa: PLC0415

    locked = lock_format.read(copy.folder / "cog-nix.lock", None)
    assert locked is not None
    artifacts = [*(deb.artifact for deb in locked.debs), *(wheel.artifact for wheel in locked.wheels)]
    return [cache_dir() / f"downloads/sha256/{one.sha256[:2]}/{one.sha256}" for one in artifacts]


def _unpacked(package: Path) -> int:
    """Return the bytes of all regular files in a .deb or a wheel."""
    import zipfile  # noqa: PLC0415

    if zipfile.is_zipfile(package):
        with zipfile.ZipFile(package) as wheel:
            return sum(member.file_size for member in wheel.infolist())
    return sum(info.size for info, _ in deb.data(package) if info.isreg())


def start() -> Row:
    """Make a prediction with an image that Docker holds: start, ask, stop, remove."""
    if not has_docker():
        sys.exit("The benchmark start needs a Docker daemon.")
    with project("hello-world") as copy:
        copy.cog_nix("build", "--no-out-link", "-t", _TAG)
        values = timed(5, lambda _: copy.cog_nix("predict", _TAG, "-i", "text=world"))
        run(["docker", "rmi", "--force", _TAG], copy.folder)
    return Row("start", "s", values, 2)


def predict() -> Row:
    """Make a prediction with a project that has not changed, in Docker: build, start, ask, stop, remove."""
    if not has_docker():
        sys.exit("The benchmark predict needs a Docker daemon.")
    return _prediction("predict", "docker", 2.5)


def predict_without_docker() -> Row:
    """The same in the daemonless runtime."""
    return _prediction("predict-bundle", "bundle", 1.5)


def _prediction(name: str, runtime: str, target: float) -> Row:
    command = ("predict", "--runtime", runtime, "-i", "text=world")
    with project("hello-world") as copy:
        copy.cog_nix(*command)
        values = timed(7, lambda _: copy.cog_nix(*command))
    return Row(name, "s", values, target)


def kept() -> tuple[Row, Row]:
    """Ask a model that is kept warm, as a whole command: what the clock says, and its processor time."""
    command = ("run", "--runtime", "bundle", "--keep", "-i", "text=world")
    with project("hello-world") as copy:
        copy.cog_nix(*command)
        try:
            # A file that is too new is not trusted, and what a command line does is noted at its second time.
            time.sleep(2)
            copy.cog_nix(*command)
            both = [_and_processor(lambda: copy.cog_nix(*command)) for _ in range(9)]
            least = [
                _and_processor(lambda: run([sys.executable, "-c", "pass"], copy.folder)) for _ in range(9)
            ]
        finally:
            copy.cog_nix("stop")
    python = [statistics.median(one) for one in zip(*least, strict=True)]
    clock, processor = zip(*both, strict=True)
    beside = "python -c pass"
    return (
        Row("kept", "s", clock, 0.15, python[0], beside),
        Row("kept-processor", "s", processor, 0.15, python[1], beside),
    )


def _and_processor(action: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that an action takes, and those that processors worked for what it started."""
    before, began = os.times(), time.perf_counter()
    action()
    seconds, after = time.perf_counter() - began, os.times()
    worked = after.children_user - before.children_user + after.children_system - before.children_system
    return seconds, worked


def import_torch() -> Row:
    """Import torch in a fresh container, with the image's bytecode and without any."""
    if not has_docker():
        sys.exit("The benchmark import-torch needs a Docker daemon.")
    asked = "import time; began = time.perf_counter(); import torch; print(time.perf_counter() - began)"
    # Bytecode is looked for below a folder that is not there, and none is written.
    without = ("--env", "PYTHONPYCACHEPREFIX=/nonexistent", "--env", "PYTHONDONTWRITEBYTECODE=1")
    with project("torch-demo") as copy:
        copy.cog_nix("build", "--no-out-link", "-t", _TAG)

        def once(*options: str) -> float:
            command = ["docker", "run", "--rm", *options, _TAG, "python", "-c", asked]
            return float(run(command, copy.folder))

        once()
        # In turns, since a machine is not equally busy all the time.
        pairs = [(once(), once(*without)) for _ in range(5)]
        run(["docker", "rmi", "--force", _TAG], copy.folder)
    baseline = statistics.median(slow for _, slow in pairs)
    return Row(
        "import-torch", "s", tuple(fast for fast, _ in pairs), baseline * 0.75, baseline, "without bytecode"
    )


def _median(times: int, action: Callable[[], object] | None) -> float | None:
    return statistics.median(timed(times, lambda _: action())) if action else None


BENCHMARKS: dict[str, Callable[[], Row | tuple[Row, ...]]] = {
    "no-change": no_change,
    "no-change-no-load": no_change_without_loading,
    "edit": edit,
    "start": start,
    "predict": predict,
    "predict-bundle": predict_without_docker,
    "kept": kept,
    "push": push.edited,
    "push-first": push.first,
    "no-push": push.unchanged,
    "thin-push": cache.thin_push,
    "from-cache": cache.from_cache,
    "cold": cold,
    "lock": lock,
    "ffmpeg": ffmpeg,
    "resolve": resolve,
    "size": size,
    "fetched": fetched.fetched,
    "first-answer": first.first_answer,
    "sample": sample.sample,
    "import-torch": import_torch,
    "torch": heavy.torch,
    **runtimes.benchmarks(),
}
_BY_NAME = (
    "fetched",
    "thin-push",
    "from-cache",
    "first-answer",
    "sample",
    "import-torch",
    "torch",
    *runtimes.by_name(),
)
"""What is run only when it is asked for."""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Run benchmarks and print a table.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    sizes = ", ".join(f"{name}:SIZE" for name in large.BY_SIZE)
    names = parser.parse_args().names or [name for name in BENCHMARKS if name not in _BY_NAME]
    if unknown := [name for name in names if name not in BENCHMARKS and not large.sized(name)]:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)} and {sizes}")
    rows: list[Row] = []
    for name in names:
        benchmark = large.sized(name) or BENCHMARKS[name]
        told = large.BY_SIZE.get(name.partition(":")[0], benchmark).__doc__ or ""
        print(f"{name}: {told.splitlines()[0]}", file=sys.stderr)
        found = benchmark()
        rows += found if isinstance(found, tuple) else [found]
    print(table(rows))


if __name__ == "__main__":
    main()
