"""Import weights from a hub on this machine, as fast as the disk takes them or its processors hash them.

::

    python -m benchmarks.managed [MB]

The hub is another process, with four files of random bytes. Beside each import as many bytes are written to
the same disk, and hashed by as many threads as there are processors, so that other work on the machine
slows down both. What is printed is the import's share of the slower one.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.config.model import Weight, WeightSource
from cog_nix.managed.importing import bring, record
from cog_nix.managed.planning import plan
from cog_nix.managed.source import Surroundings
from cog_nix.report import SilentReporter
from cog_nix.weights.model import WeightsLock
from cog_nix.weights.store import WeightsStore
from tests.managed.hub import Hub, serving

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_FILES = 4
_ROUNDS = 3
_PIECE = 1 << 20


def _hub(folder: Path, pieces: int, told: Connection) -> None:
    hub = Hub(folder)
    for number in range(_FILES):
        name = f"model-{number}.safetensors"
        hub.add(name, os.urandom(_PIECE) * pieces, lfs=True)
    with serving(hub):
        told.send(hub.endpoint)
        told.recv()


def _import(folder: Path, endpoint: str) -> float:
    around = Surroundings(WeightsStore(folder), SilentReporter(), {"HF_ENDPOINT": endpoint})
    began = time.monotonic()
    found = plan(Weight("w", "/src/w", (WeightSource("hf://org/repo"),)), WeightsLock(), folder, around)
    record(found, None, bring(found, around), around)
    return time.monotonic() - began


def _write(folder: Path, pieces: int) -> float:
    data = os.urandom(_PIECE)
    began = time.monotonic()
    with (folder / "written").open("wb", buffering=0) as sink:
        for _ in range(_FILES * pieces):
            sink.write(data)
        os.fsync(sink.fileno())
    return time.monotonic() - began


def _hash(pieces: int) -> float:
    data = os.urandom(_PIECE)

    def one(_number: int) -> None:
        digest = hashlib.sha256()
        for _ in range(pieces):
            digest.update(data)

    began = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(one, range(_FILES)))
    return time.monotonic() - began


def main() -> None:
    """Run it."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    pieces = size * 1_000_000 // _FILES // _PIECE
    done = _FILES * pieces * _PIECE / 1e6
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as name:
        process = multiprocessing.Process(target=_hub, args=(Path(name), pieces, theirs))
        process.start()
        endpoint = ours.recv()
        shares = []
        for _ in range(_ROUNDS):
            with tempfile.TemporaryDirectory(dir=name) as one:
                taken, written, hashed = (
                    _import(Path(one), endpoint),
                    _write(Path(one), pieces),
                    _hash(pieces),
                )
            shares.append(max(written, hashed) / taken)
            rates = "  ".join(
                f"{what} {done / seconds:.0f}"
                for what, seconds in (("import", taken), ("write", written), ("sha256", hashed))
            )
            print(f"MB/s: {rates}  share {shares[-1]:.2f}")
        print(f"median share {statistics.median(shares):.2f}")
        ours.send(None)
        process.join()


if __name__ == "__main__":
    main()
