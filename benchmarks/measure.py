"""What the benchmarks share: a project to work on, commands to time, statistics to print."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.fetch.caching import CachingFetcher
from cog_nix.lock import format as lock_format
from cog_nix.report import SilentReporter
from cog_nix.system.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
GB = 1_000_000_000
_CHUNK = 10_000_000


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    unit: str
    """``s`` or ``MB``."""
    values: tuple[float, ...]
    target: float
    """What the median should not exceed."""
    baseline: float | None = None
    """The median of what it is compared with, in the same unit."""
    compared_with: str = ""

    @property
    def median(self) -> float:
        """The median of all values."""
        return statistics.median(self.values)


@dataclass
class Project:
    """A copy of an example, with an environment of its own."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def cog_nix(self, *arguments: str, **env: str) -> str:
        """Run cog-nix here and return what it printed.

        Raises:
            SystemExit: it failed; what it said is shown.
        """
        return run([sys.executable, "-m", "cog_nix", *arguments], self.folder, {**self.env, **env})

    def environment(self) -> dict[str, str]:
        """Return all variables of what runs here."""
        return {**os.environ, **self.env}

    def edit(self) -> None:
        """Change a line of the model's source to what it has never been: no cache may know the result."""
        path = next(self.folder.glob("*.py"))
        first, _, rest = path.read_text().partition("\n")
        path.write_text(f"{first.partition('  # edit')[0]}  # edit {time.time_ns()}\n{rest}")


def fill(path: Path, size: int) -> None:
    """Write so many bytes that do not compress, as weights do not."""
    with path.open("wb") as stream:
        for start in range(0, size, _CHUNK):
            stream.write(os.urandom(min(_CHUNK, size - start)))


def run(command: Sequence[str | Path], folder: Path, env: dict[str, str] | None = None) -> str:
    """Run a command to its end and return its stdout.

    Raises:
        SystemExit: it failed.
    """
    finished = subprocess.run(
        command, cwd=folder, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )
    if finished.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{finished.stderr}")
    return finished.stdout


@contextmanager
def project(example: str | Path, *, lock: bool = True) -> Iterator[Project]:
    """Yield a copy of an example, in a folder that is removed afterwards.

    Args:
        example: its name, or the folder of another project.
        lock: whether it is locked, and all that it is built from downloaded.
    """
    with tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as scratch:
        folder = Path(scratch) / f"benchmark-{Path(example).name}"
        shutil.copytree(
            ROOT / "examples" / example,
            folder,
            ignore=shutil.ignore_patterns(".cog", "result", "cog-nix.lock"),
        )
        paths = [str(ROOT), str(ROOT / "hooks")]
        copy = Project(folder, {"PYTHONPATH": os.pathsep.join(paths), "COG_NIX_PLUGINS": "0"})
        if lock:
            copy.cog_nix("lock")
            _download(folder)
        yield copy


def _download(folder: Path) -> None:
    """Fetch what the lock of a project says it is built from; locking fetches less."""
    lock = lock_format.read(folder / "cog-nix.lock", None)
    if lock is None:
        sys.exit(f"There is no lock in {folder}.")
    CachingFetcher(cache_dir(), SilentReporter()).artifacts(lock_format.built_from(lock))


def timed(times: int, action: Callable[[int], object]) -> tuple[float, ...]:
    """Return the seconds that each of several runs takes; ``action`` is given the run's number."""
    seconds = []
    for number in range(times):
        began = time.perf_counter()
        action(number)
        seconds.append(time.perf_counter() - began)
    return tuple(seconds)


def has_docker() -> bool:
    """Tell whether a Docker daemon answers."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [
        "| benchmark | target | median | min | max | compared with | ratio |",
        "|---|--:|--:|--:|--:|---|--:|",
    ]
    for row in rows:
        numbers = (row.target, row.median, min(row.values), max(row.values))
        cells = [
            f"{number:.2f} {row.unit}" if row.unit == "s" else f"{number:.1f} {row.unit}"
            for number in numbers
        ]
        ratio = f"{row.median / row.baseline:.2f}" if row.baseline else ""
        compared = f"{row.compared_with}: {row.baseline:.2f} {row.unit}" if row.baseline else ""
        lines.append(f"| {' | '.join([row.name, *cells, compared, ratio])} |")
    return "\n".join(lines)
