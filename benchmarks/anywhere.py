"""Rebuild projects with all that this machine can have otherwise, and print which layers came out the same.

::

    python -m benchmarks.anywhere [PROJECT…] [--nix FOLDER…]

Each project, an example or one of the compatibility tests', is copied and locked, built here, and built
again by each Nix in a store, folder, user, time zone, locale, umask, number of processors and order of files
of its own (``cog-nix verify --vary``). Without names, all are taken that download less than 1 GB. Exits with
1 when anything differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.measure import ROOT, Project, project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_LARGE = ("torch-demo",)
_COMPARED = (0, 3)
"""Exit statuses of ``cog-nix verify`` that come with a result."""


@dataclass(frozen=True)
class Outcome:
    """One project."""

    name: str
    found: dict[str, Any]
    """What ``cog-nix verify --json`` printed."""
    seconds: float

    def rows(self) -> Iterator[str]:
        """Yield a line of the table for each build."""
        for build in self.found["builds"]:
            layers = build["layers"]
            same = sum(layer["same"] for layer in layers)
            said = "the same" if build["same"] else "**differs**"
            yield f"| {self.name} | {build['title']} | {same} of {len(layers)} | {said} |"


def verified(copy: Project, nixes: Sequence[str]) -> Outcome:
    """Rebuild a project.

    Args:
        copy: a locked one.
        nixes: folders of Nix's programs, apart from the one of this machine and the one that cog-nix brings.

    Raises:
        SystemExit: it cannot be built.
    """
    words = [word for folder in nixes for word in ("--nix", folder)]
    command = [sys.executable, "-m", "cog_nix", "verify", "--vary", "--json", *words]
    began = time.perf_counter()
    ran = subprocess.run(
        command, cwd=copy.folder, env=copy.environment(), capture_output=True, text=True, check=False
    )
    if ran.returncode not in _COMPARED:
        sys.exit(f"{copy.folder.name} cannot be verified:\n{ran.stderr}")
    name = copy.folder.name.removeprefix("benchmark-")
    return Outcome(name, json.loads(ran.stdout), time.perf_counter() - began)


def _configurations() -> Iterator[Path]:
    """Yield each project's cog.yaml."""
    for folder in ("examples", "compat-tests/projects"):
        yield from sorted((ROOT / folder).glob("*/cog.yaml"))


def main() -> None:
    """Read the command line."""
    known = {path.parent.name: path.parent for path in _configurations()}
    parser = argparse.ArgumentParser(description="Rebuild projects elsewhere and compare.")
    parser.add_argument("names", nargs="*", metavar="PROJECT", help=f"of {', '.join(known)}")
    parser.add_argument(
        "--nix", action="append", default=[], metavar="FOLDER", help="programs of another Nix"
    )
    asked = parser.parse_args()
    names = asked.names or [name for name in known if name not in _LARGE]
    if unknown := set(names) - set(known):
        parser.error(f"there is no project {min(unknown)}; there are {', '.join(known)}")
    print("| project | rebuilt | layers the same | image |\n|---|---|--:|---|")
    same = True
    for name in names:
        with project(known[name]) as copy:
            outcome = verified(copy, asked.nix)
        print("\n".join(outcome.rows()), flush=True)
        print(f"{name}: {outcome.seconds:.0f} s", *outcome.found["not_varied"], sep="\n  ", file=sys.stderr)
        same = same and outcome.found["same"]
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
