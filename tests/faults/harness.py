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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.system import scratch
from tests.faults import scenarios
from tests.faults.kills import ENDINGS, Count, Scenario, attack
from tests.faults.others import OTHERS
from tests.faults.world import World, warm_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; return 1 when anything is wrong."""
    asked = _parsed(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # children of a background job would ignore it
    print(f"seed {asked.seed}", flush=True)
    total = 0
    for name, attempt in _chosen(asked).items():
        folder = Path(tempfile.mkdtemp(prefix="cog-nix-faults-"))
        cache = warm_cache(folder / "cache")
        own = asked.own_store or name == "collected"
        world = World(folder / "world", cache=cache, store=folder / "store" if own else None)
        began = time.monotonic()
        count = attempt(world)
        _tell(name, count, time.monotonic() - began)
        total += len(count.problems)
        world.remove()
        scratch.remove(str(folder))
    return 1 if total else 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.harness", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="names; all that this machine can run, if none is named")
    parser.add_argument("--moments", type=int, default=60, help="how often each command is ended")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--ending", dest="endings", action="append", choices=ENDINGS)
    parser.add_argument("--registry", default="", help="localhost:PORT of a registry to push to")
    parser.add_argument("--own-store", action="store_true", help="a store of its own for each")
    return parser.parse_args(arguments)


def _chosen(asked: argparse.Namespace) -> dict[str, Callable[[World], Count]]:
    known: dict[str, Scenario] = {name: make() for name, make in scenarios.LOCAL.items()}
    if asked.registry:
        known["push"] = scenarios.push(asked.registry)
    for runtime in scenarios.RUNTIMES:
        if runtime == "bundle" or shutil.which(runtime):
            known[f"load-{runtime}"] = scenarios.load(runtime)
            known[f"predict-{runtime}"] = scenarios.predict(runtime)
    everything = {name: partial(_ended, asked, scenario) for name, scenario in known.items()} | OTHERS
    if unknown := set(asked.scenario) - everything.keys():
        sys.exit(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(everything)}")
    return {name: everything[name] for name in asked.scenario or everything}


def _ended(asked: argparse.Namespace, scenario: Scenario, world: World) -> Count:
    return attack(world, scenario, asked.moments, asked.seed, asked.endings or ENDINGS, tell=_tell_try)


def _tell_try(number: int, problems: list[str]) -> None:
    """Say on stderr how far it is."""
    print(f"  {number}: {len(problems)} problems", *problems, sep="\n  - ", file=sys.stderr, flush=True)


def _tell(name: str, count: Count, seconds: float) -> None:
    print(
        f"{name}: {count.tries} tries, {count.too_late} more came too late, "
        f"{len(count.problems)} problems, at most {count.slowest:.1f} s to end, {seconds:.0f} s in all",
        flush=True,
    )
    for problem in count.problems:
        print(f"  - {problem}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
