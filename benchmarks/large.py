"""Projects that are large: gigabytes of weights, or very many files. How large is said behind the row's name.

``python -m benchmarks.run large:6 sparse:100 many:50000 push-large:10 cold-start:2`` (GB, GB, files, GB, GB).
By name only: they write as many bytes, and read them.
"""

from __future__ import annotations

import hashlib
import os
import resource
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks import push
from benchmarks.cold_start import cold_start
from benchmarks.measure import GB, Project, Row, fill, project, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_TAG = "cog-nix-benchmark-large:latest"
_IN_FOLDER = 100
_NO_CHANGE, _EDIT = 0.25, 0.5
_MANY_NO_CHANGE, _MANY_EDIT = 0.5, 1.5
_SPARSE_MB = 150
"""What is aimed at: seconds, and MB of memory."""
_LIKE_A_DISK = 0.8
_HASHED = "reading and hashing it once"
_SENT = "sending it to that registry, unhashed"


def large(gigabytes: int = 2) -> tuple[Row, ...]:
    """Build a project with a file of so many GB: for the first time, again, and after edits."""
    with project("hello-world") as copy, project("hello-world") as plain:
        weights = copy.folder / "weights.bin"
        fill(weights, gigabytes * GB)
        first, *others = _rows(copy, plain, f"large:{gigabytes}", (0, _NO_CHANGE, _EDIT))
        read = _hashed(weights)
        return replace(first, target=read, baseline=read, compared_with=_HASHED), *others


def many(files: int = 50_000) -> tuple[Row, ...]:
    """Build a project with so many small files."""
    with project("hello-world") as copy, project("hello-world") as plain:
        for number in range(files):
            path = copy.folder / f"data/{number // _IN_FOLDER:04}/{number}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'{{"number": {number}}}\n' * 40)
        return _rows(copy, plain, f"many:{files}", (60, _MANY_NO_CHANGE, _MANY_EDIT))


def sparse(gigabytes: int = 100) -> Row:
    """Tell the most memory that a build of a sparse file of so many GB takes."""
    with project("hello-world") as copy:
        (copy.folder / "weights.bin").touch()
        os.truncate(copy.folder / "weights.bin", gigabytes * GB)
        copy.cog_nix("build", "--no-load")
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    return Row(f"sparse:{gigabytes}", "MB", (used,), _SPARSE_MB)


def push_large(gigabytes: int = 2) -> Row:
    """Push a file of so many GB to a registry on this machine."""
    with project("hello-world") as copy, push.registry() as host:
        fill(copy.folder / "weights.bin", gigabytes * GB)
        copy.cog_nix("build", "--no-load")
        values = timed(1, lambda _: copy.cog_nix("push", f"{host}/me/model:v1"))
        (raw,) = timed(1, lambda _: push.upload(copy.folder / "weights.bin", host, "me/raw"))
        read = _hashed(copy.folder / "weights.bin")
    return Row(f"push-large:{gigabytes}", "s", values, max(raw, read) / _LIKE_A_DISK, raw, _SENT)


def _hashed(path: Path) -> float:
    """Return how long reading and hashing a file takes, which the page cache may have: in seconds."""
    with path.open("rb") as stream:
        return timed(1, lambda _: hashlib.file_digest(stream, "sha256"))[0]


def _rows(copy: Project, plain: Project, name: str, targets: tuple[float, float, float]) -> tuple[Row, ...]:
    """Build a project and one without what makes it large, in turns: a machine is not equally busy always."""
    flags = ("build", "--no-load", "-t", _TAG)
    time.sleep(4)  # a file that is too new is not trusted
    first = timed(1, lambda _: copy.cog_nix(*flags))
    for one in (copy, plain) * 3:
        one.cog_nix(*flags)

    def edit(one: Project) -> None:
        one.edit()
        one.cog_nix(*flags)

    again = [timed(2, lambda number: (copy, plain)[number].cog_nix(*flags)) for _ in range(5)]
    edits = [timed(2, lambda number: edit((copy, plain)[number])) for _ in range(5)]
    return (
        Row(f"{name} first", "s", first, targets[0]),
        _row(f"{name} no-change", again, targets[1]),
        _row(f"{name} edit", edits, targets[2]),
    )


def _row(name: str, pairs: Sequence[tuple[float, ...]], target: float) -> Row:
    values, others = zip(*pairs, strict=True)
    return Row(name, "s", values, target, statistics.median(others), "examples/hello-world")


BY_SIZE: dict[str, Callable[[int], Row | tuple[Row, ...]]] = {
    "large": large,
    "many": many,
    "sparse": sparse,
    "push-large": push_large,
    "cold-start": cold_start,
}
"""Those that are told a size: ``NAME:SIZE``."""


def sized(name: str) -> Callable[[], Row | tuple[Row, ...]] | None:
    """Return the benchmark of ``NAME:SIZE``; None: there is none."""
    kind, _, size = name.partition(":")
    if kind not in BY_SIZE or not size.isdecimal():
        return None
    return lambda: BY_SIZE[kind](int(size))
