"""Push an image with each compression of its layers, pull it, and print sizes, bytes and seconds.

::

    python -m benchmarks.compression [--example NAME] [--also WHEEL] [--containerd FOLDER] [--rate MB]
        [PACKING…]

The image has numpy, SciPy, pandas, PyArrow, OpenCV and scikit-learn, and what ``--also`` adds, or is an
example's (``torch-demo``: 25 GB of disk; 6 GB otherwise). It is pushed from a store of its own, which has
its layers and never the compressed ones, to an empty registry; then with another version of one small
wheel, and after an edit of the source. Clients with empty stores pull the first two: containerd, Podman of
this machine, and Podman of Debian 13 in a root that is installed for it, both with partial pulls; and,
where a folder has the programs of a newer containerd, that one, with one layer unpacked at a time and with
as many as there are processors. What goes over the wire is counted on the way, and to the registry not faster
than ``--rate`` says.
Needs root, and Debian's packages debootstrap, containerd, podman and docker-registry.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmarks.cold_start import containerd, podman
from benchmarks.fetched import MB, counting_proxy
from benchmarks.measure import ROOT, project, run
from benchmarks.push import registry
from cog_nix.system.packing import PACKINGS
from tests import hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from benchmarks.measure import Project

_WHEELS = """\
numpy==2.2.6
scipy==1.15.3
pandas==2.2.3
pyarrow==20.0.0
opencv-python-headless==4.11.0.86
scikit-learn==1.6.1
"""
_SMALL = ("six==1.16.0\n", "six==1.17.0\n")
"""The wheel that changes, 11 kB, before and after."""
_INPUTS = ("requirements.txt", "cog-nix.lock")
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
[storage.options]
pull_options = {enable_partial_images = "true"}
"""
"""containers-storage.conf(5)."""
_NEWER = ("trixie", ("podman",))
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


@dataclass(frozen=True)
class _Measure:
    """What is measured of each packing: a row of the table."""

    title: str
    unit: Literal["MB", "s"]
    value: float


@contextmanager
def _own_store() -> Iterator[dict[str, str]]:
    """Yield the environment of a machine whose Nix store is empty."""
    folder = tempfile.mkdtemp(prefix="cog-nix-benchmark-")
    try:
        yield {"COG_NIX_STORE": f"{folder}/store"}
    finally:
        subprocess.run(["chmod", "-R", "u+w", folder], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _newer_podman() -> Iterator[Callable[[str], object]]:
    """Yield a function that pulls an image with Podman of Debian 13 into an empty store."""
    with tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as folder:
        config = Path(folder, "storage.conf")
        config.write_text(_STORAGE)
        binds = {"/etc/containers/storage.conf": config}
        with hosts.Host(hosts.bootstrap(*_NEWER), Path(folder, "machine"), binds=binds) as host:
            yield lambda image: host.check(["podman", "pull", "--tls-verify=false", image])
            host.check(["podman", "rmi", "--all", "--force"])


@contextmanager
def _containerd(programs: Path | None = None, unpacks: int = 1) -> Iterator[Callable[[str], object]]:
    with containerd(programs, unpacks) as (pull, _):
        yield pull


@contextmanager
def _podman() -> Iterator[Callable[[str], object]]:
    with podman(_STORAGE) as (pull, _):
        yield pull


def _clients(
    newer: Path | None,
) -> Mapping[str, Callable[[], AbstractContextManager[Callable[[str], object]]]]:
    """Return what pulls, by what the table calls it.

    Args:
        newer: folder with a containerd that unpacks several layers at once; None: there is none.
    """
    found = {"containerd": _containerd, "Podman": _podman, "Podman of Debian 13": _newer_podman}
    if newer:
        processors = os.cpu_count() or 1
        found["newer containerd, 1 layer at a time"] = partial(_containerd, newer)
        found[f"newer containerd, {processors} layers at a time"] = partial(_containerd, newer, processors)
    return found


class _Versions:
    """A locked project, with either version of the small wheel."""

    def __init__(self, copy: Project, wheels: str) -> None:
        self._copy = copy
        config = copy.folder / "cog.yaml"
        if "python_requirements" not in config.read_text():
            config.write_text(
                config.read_text().replace("build:", "build:\n  python_requirements: requirements.txt", 1)
            )
        self._kept: list[tuple[bytes, ...]] = []
        for small in _SMALL:
            (copy.folder / "requirements.txt").write_text(wheels + small)
            copy.cog_nix("lock")
            self._kept.append(tuple((copy.folder / name).read_bytes() for name in _INPUTS))

    def take(self, number: int) -> None:
        """Make the project what it was with the first or second version."""
        for name, content in zip(_INPUTS, self._kept[number], strict=True):
            (self._copy.folder / name).write_bytes(content)


def _size(image: str) -> int:
    """Return the bytes of an image in a registry: its layers and configuration."""
    host, _, rest = image.partition("/")
    name, _, tag = rest.rpartition(":")
    asked = urllib.request.Request(
        f"http://{host}/v2/{name}/manifests/{tag}", headers={"Accept": ", ".join(_MANIFESTS)}
    )
    with urllib.request.urlopen(asked) as answer:
        manifest = json.load(answer)
    return int(manifest["config"]["size"]) + sum(int(layer["size"]) for layer in manifest["layers"])


def _measured(
    copy: Project, versions: _Versions, packing: str, newer: Path | None, rate: float
) -> Iterator[_Measure]:
    """Push and pull with one packing, in an empty registry."""
    with registry() as host, counting_proxy(int(host.rpartition(":")[2]), rate * MB) as wire:
        name = f"127.0.0.1:{wire.port}/me/model"

        def timed(title: str, action: Callable[[], object]) -> tuple[_Measure, _Measure]:
            before, began = wire.sent + wire.received, time.perf_counter()
            action()
            seconds = time.perf_counter() - began
            moved = (wire.sent + wire.received - before) / MB
            return _Measure(title, "s", seconds), _Measure(f"{title}: over the wire", "MB", moved)

        def push(title: str, tag: str) -> tuple[_Measure, _Measure]:
            return timed(title, lambda: copy.cog_nix("push", f"{name}:{tag}", "--compression", packing))

        versions.take(0)
        first = push("`push` from nothing", "v1")
        yield _Measure("size in the registry", "MB", _size(f"{name}:v1") / MB)
        yield from first
        versions.take(1)
        yield from push("`push` after another version of six", "v2")
        for client, started in _clients(newer).items():
            with started() as pull:
                yield from timed(f"{client} pulls it", lambda pull=pull: pull(f"{name}:v1"))  # type: ignore[misc]
                yield from timed(
                    f"{client} pulls it with another version of six",
                    lambda pull=pull: pull(f"{name}:v2"),  # type: ignore[misc]
                )
        copy.edit()
        yield from push("`push` after an edit of the source", "v3")


def _table(found: dict[str, list[_Measure]]) -> Iterator[str]:
    """Yield the lines of a table in Markdown: a column for each packing, with its ratio to the first."""
    yield f"| | {' | '.join(found)} |"
    yield f"|---|{'--:|' * len(found)}"
    for row in zip(*found.values(), strict=True):
        cells = [_cell(measure, row[0]) for measure in row]
        yield f"| {row[0].title} | {' | '.join(cells)} |"


def _cell(measure: _Measure, first: _Measure) -> str:
    said = f"{measure.value:.1f} s" if measure.unit == "s" else f"{measure.value:.3f} MB"
    return said if measure is first else f"{said} ({measure.value / first.value:.2f})"


def _machine(newer: Path | None) -> Iterator[str]:
    """Yield what the numbers depend on."""
    yield f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, Linux {platform.release()}"
    programs = ["containerd", "podman", *([str(newer / "containerd")] if newer else [])]
    for command in ([one, "--version"] for one in programs):
        yield run(command, ROOT).strip()
    with (
        tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as folder,
        hosts.Host(hosts.bootstrap(*_NEWER), Path(folder, "machine")) as host,
    ):
        yield f"Debian 13: {host.check(['podman', '--version']).strip()}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Push and pull with each compression.")
    parser.add_argument("packings", nargs="*", metavar="PACKING", help=f"of {', '.join(PACKINGS)}")
    parser.add_argument("--example", metavar="NAME", help="one with requirements.txt, such as torch-demo")
    parser.add_argument(
        "--also", action="append", default=[], metavar="WHEEL", help="one more, NAME==VERSION"
    )
    parser.add_argument(
        "--containerd", type=Path, metavar="FOLDER", help="with containerd and ctr, 2.2 or newer"
    )
    parser.add_argument(
        "--rate", type=float, default=0, metavar="MB", help="a second, to the registry; 0: as fast as it goes"
    )
    asked = parser.parse_args()
    packings: Sequence[str] = asked.packings or PACKINGS
    if unknown := set(packings) - set(PACKINGS):
        parser.error(f"there is no packing {min(unknown)}; there are {', '.join(PACKINGS)}")
    if os.geteuid() or not all(map(shutil.which, ("containerd", "ctr", "podman", "debootstrap"))):
        sys.exit("It needs root, and Debian's packages containerd, podman and debootstrap.")
    with project(asked.example or "hello-world", lock=False) as copy, _own_store() as store:
        copy.env |= store
        requirements = copy.folder / "requirements.txt"
        versions = _Versions(
            copy,
            requirements.read_text()
            if asked.example
            else _WHEELS + "".join(f"{one}\n" for one in asked.also),
        )
        for number in reversed(range(len(_SMALL))):
            versions.take(number)
            copy.cog_nix("build", "--no-load")
        found: dict[str, list[_Measure]] = {}
        for packing in packings:
            found[packing] = []
            for measure in _measured(copy, versions, packing, asked.containerd, asked.rate):
                found[packing].append(measure)
                print(packing, measure.title, _cell(measure, measure), sep="\t", file=sys.stderr, flush=True)
    print("\n".join((*_table(found), "", *_machine(asked.containerd))))


if __name__ == "__main__":
    main()
