# ruff: noqa: INP001, T201 - a script
"""Write the table of facts of well-known large wheels that cog-nix ships (docs/design/wheel-facts.md).

Nothing is fetched whole: torch's 767 MB cost 67. What was read is kept in a folder, so that a run that was
stopped continues where it was. What the table has is not read again, and stays in it:

    scripts/write_wheel_facts.py --index URL --kept FOLDER [PROJECT…]
    scripts/write_wheel_facts.py --kept FOLDER --write

The index is one that answers in JSON (PEP 691), as PyPI's simple index does.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "hooks")]

from packaging.utils import parse_wheel_filename  # noqa: E402 - beside the others
from packaging.version import Version  # noqa: E402 - beside the others

from cog_nix.elf import table  # noqa: E402 - found with or without an installed cog-nix
from cog_nix.elf.facts import Depth, Known, Memory  # noqa: E402 - as above
from cog_nix.elf.parts import read_parts  # noqa: E402 - as above
from cog_nix.fetch.ranges import NoPartsError, Parts  # noqa: E402 - as above
from cog_nix.fetch.retry import RetryPolicy  # noqa: E402 - as above
from cog_nix.fetch.transport import Transport  # noqa: E402 - as above

JSON = "application/vnd.pypi.simple.v1+json"
INTERPRETERS = frozenset({"cp38", "cp39", "cp310", "cp311", "cp312", "cp313", "py3", "py2"})
ABIS = frozenset({"none", "abi3"}) | {name for name in INTERPRETERS if name.startswith("cp")}

LINKS = {"torch": "2.0"}
"""Read as far as the loader does: what they load they depend on."""
TEXT = {
    "coglet": "0",
    "triton": "2.0",
    "numpy": "1.23",
    "jaxlib": "0.4.20",
    "jax-cuda12-plugin": "0.4.26",
    "jax-cuda12-pjrt": "0.4.26",
    "onnxruntime-gpu": "1.15",
    "tensorflow": "2.5",
    "paddlepaddle-gpu": "2.4",
}
"""Read through, for the libraries that they open."""
_PARTS = (
    *("cublas", "cuda-cupti", "cuda-nvcc", "cuda-nvrtc", "cuda-runtime", "cudnn", "cufft", "cufile"),
    *("curand", "cusolver", "cusparse", "cusparselt", "nccl", "npp", "nvfatbin", "nvjitlink", "nvjpeg"),
    *("nvshmem", "nvtx", "cudss"),
)
FILES = {f"nvidia-{part}{cuda}": "0" for part in _PARTS for cuda in ("-cu11", "-cu12", "-cu13", "")}
"""Of NVIDIA's own only the names of files count."""
PROJECTS = {
    **dict.fromkeys(LINKS, Depth.LINKS),
    **dict.fromkeys(FILES, Depth.FILES),
    **dict.fromkeys(TEXT, Depth.TEXT),
}
OLDEST = {**LINKS, **FILES, **TEXT}


@dataclass(frozen=True)
class Found:
    """A wheel that the index has."""

    filename: str
    url: str
    size: int
    sha256: str
    version: Version


def wheels(name: str, index: str, transport: Transport) -> list[Found]:
    """Return the wheels of a project that matter, the newest first."""
    with transport.open(f"{index.rstrip('/')}/{name}/", {"Accept": JSON}) as response:
        files = json.loads(b"".join(response.chunks))["files"]
    found = []
    for file in files:
        if not file["filename"].endswith(".whl") or not file["hashes"].get("sha256") or file.get("yanked"):
            continue
        _, version, _, tags = parse_wheel_filename(file["filename"])
        fits = any(
            tag.interpreter in INTERPRETERS
            and tag.abi in ABIS
            and tag.platform.startswith(("manylinux", "linux"))
            and tag.platform.endswith("x86_64")
            for tag in tags
        )
        if fits and not version.is_prerelease and version >= Version(OLDEST[name]):
            found.append(
                Found(file["filename"], file["url"], file["size"], file["hashes"]["sha256"], version)
            )
    return sorted(found, key=lambda one: (one.version, one.filename), reverse=True)


def read(name: str, one: Found, depth: Depth, kept: Memory, transport: Transport) -> int:
    """Read a wheel unless that was done; return how many bytes it took."""
    known = kept.recall(one.sha256) or table.known(name, one.sha256)
    if known and known.at(depth):
        return 0
    parts = Parts(transport, one.url, one.size, RetryPolicy(attempts=3))
    started = time.monotonic()
    try:
        facts = read_parts(parts, depth, most=2)
    except NoPartsError as error:
        print(f"{one.filename}: {error}", flush=True)
        return parts.fetched
    kept.remember(one.sha256, Known.of(facts, depth))
    seconds = time.monotonic() - started
    share = f"{parts.fetched / 1e6:.1f} of {one.size / 1e6:.1f} MB"
    print(f"{one.filename}: {share}, {seconds:.1f} s", flush=True)
    return parts.fetched


def main() -> None:
    """Read what is new, or write the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--index", help="URL of a simple index that answers in JSON")
    arguments.add_argument("--kept", type=Path, required=True, help="folder of what was read so far")
    arguments.add_argument("--write", action="store_true", help="write the table of what was read")
    arguments.add_argument("--jobs", type=int, default=3, help="wheels at once")
    arguments.add_argument("--newest", type=int, default=1000, help="this many releases of a project")
    arguments.add_argument("--skip", type=int, default=0, help="of these, from the newest on")
    arguments.add_argument("--tag", default="", help="read files alone whose name has this")
    arguments.add_argument("projects", nargs="*", help="all that the table has, when none is named")
    options = arguments.parse_args()
    kept, index = Memory(options.kept), options.kept / "listing.json"
    names: dict[str, dict[str, str]] = json.loads(index.read_text()) if index.exists() else {}
    if options.index:
        with Transport() as transport, ThreadPoolExecutor(options.jobs) as crew:
            transport.prepare()
            for name in options.projects or PROJECTS:
                try:
                    found = wheels(name, options.index, transport)
                except Exception as error:  # noqa: BLE001 - not every part has every name
                    print(f"{name}: {str(error).splitlines()[0]}", flush=True)
                    continue
                names.setdefault(name, {}).update({one.sha256: one.filename for one in found})
                index.parent.mkdir(parents=True, exist_ok=True)
                index.write_text(json.dumps(names))
                versions = sorted({one.version for one in found}, reverse=True)
                chosen = set(versions[options.skip : options.newest])
                todo = [one for one in found if one.version in chosen and options.tag in one.filename]
                list(crew.map(lambda one, name=name: read(name, one, PROJECTS[name], kept, transport), todo))
    if options.write:
        entries = {name: table.wheels(name) for name in {*table.projects(), *names}}
        for name, hashes in names.items():
            entries[name] |= {sha256: known for sha256 in hashes if (known := kept.recall(sha256))}
        size = table.write(table.FILE, entries)
        print(f"{sum(map(len, entries.values()))} wheels in {size} bytes")


if __name__ == "__main__":
    main()
