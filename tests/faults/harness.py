"""Disturbs commands for as long as wanted, and prints counts: ``python -m tests.faults.harness --help``.

Each scenario gets a project of its own with a cache and a store of its own, which are warmed first. The seed
that chooses the moments is printed, and given back with ``--seed`` makes the same choice.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults import scenarios
from tests.faults.kills import ENDINGS, Count, Scenario, attack
from tests.faults.world import World, warm_cache

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the scenarios that are asked for; return 1 when anything is wrong."""
    asked = _parsed(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # children of a background job would ignore it
    print(f"seed {asked.seed}")
    total = 0
    for scenario in _chosen(asked.scenario, asked.registry):
        folder = Path(tempfile.mkdtemp(prefix="cog-nix-faults-"))
        world = _world(folder, own=asked.own_store)
        began = time.monotonic()
        count = attack(world, scenario, asked.moments, asked.seed, asked.endings or ENDINGS, tell=_tell_try)
        _tell(scenario, count, time.monotonic() - began)
        total += len(count.problems)
        world.remove()
        shutil.rmtree(folder)
    return 1 if total else 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.harness", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="names; all that this machine can run, if none is named")
    parser.add_argument("--moments", type=int, default=60, help="how often each command is ended")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--ending", dest="endings", action="append", choices=ENDINGS)
    parser.add_argument("--registry", default="", help="localhost:PORT of a registry to push to")
    parser.add_argument("--own-store", action="store_true", help="a store of its own")
    return parser.parse_args(arguments)


def _chosen(names: Sequence[str], registry: str) -> list[Scenario]:
    known = {name: make() for name, make in scenarios.LOCAL.items()}
    if registry:
        known["push"] = scenarios.push(registry)
    for runtime in scenarios.RUNTIMES:
        if runtime == "bundle" or shutil.which(runtime):
            known[f"load-{runtime}"] = scenarios.load(runtime)
            known[f"predict-{runtime}"] = scenarios.predict(runtime)
    if unknown := set(names) - known.keys():
        sys.exit(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [known[name] for name in names or known]


def _world(folder: Path, *, own: bool) -> World:
    cache = warm_cache(folder / "cache")
    return World(folder / "world", cache=cache, store=folder / "store" if own else None)


def _tell_try(number: int, problems: list[str]) -> None:
    """Say on stderr how far it is."""
    print(f"  {number}: {len(problems)} problems", file=sys.stderr, flush=True)


def _tell(scenario: Scenario, count: Count, seconds: float) -> None:
    print(
        f"{scenario.name}: {count.tries} times ended, {count.finished_before} of them too late, "
        f"{len(count.problems)} problems, at most {count.slowest:.1f} s to end, {seconds:.0f} s in all",
        flush=True,
    )
    for problem in count.problems:
        print(f"  - {problem}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
