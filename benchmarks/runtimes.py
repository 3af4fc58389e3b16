"""What a build costs until a runtime has the image: nothing changed, and a line of the source edited.

Every row says which runtime of which version it was measured with, and how that keeps images.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import ROOT, Project, Row, has_docker, project, run, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TAG = "cog-nix-benchmark-runtimes:latest"
_LARGE_BYTES = 500_000_000
_NOTHING_CHANGED, _EDIT, _EDIT_PODMAN = 0.25, 0.4, 0.6
"""Seconds that are aimed at."""

RUNTIMES = ("docker", "containerd", "podman", "bundle")


def benchmarks() -> dict[str, Callable[[], Row]]:
    """Return all by name: ``no-change-docker``, ``edit-podman``, ``edit-large-containerd`` and so on."""
    return {
        f"{what}{size}-{runtime}": _benchmark(what, runtime, large=bool(size))
        for size in ("", "-large")
        for runtime in RUNTIMES
        for what in ("no-change", "edit")
    }


def by_name() -> tuple[str, ...]:
    """Return those that are run only when they are asked for: they install systems or fill the disk."""
    return tuple(name for name in benchmarks() if "large" in name or "containerd" in name)


def _benchmark(what: str, runtime: str, *, large: bool) -> Callable[[], Row]:
    def measure() -> Row:
        with _place(runtime) as (environ, title), _project(large=large) as copy:
            copy.env |= environ

            def build() -> None:
                copy.cog_nix(
                    "build", "--no-out-link", "--runtime", runtime.replace("containerd", "docker"), "-t", _TAG
                )

            def once(_: int) -> None:
                if what == "edit":
                    copy.edit()
                build()

            once(0)
            once(0)
            values = timed(8, once)
            _remove(runtime, copy)
        size = "-large" if large else ""
        return Row(f"{what}{size}-{runtime} ({title})", "s", values, _target(what, runtime))

    size = f" of {_LARGE_BYTES / 1e6:.0f} MB more" if large else ""
    measure.__doc__ = (
        f"Build{size} until {runtime} has the image, {'edited' if what == 'edit' else 'unchanged'}."
    )
    return measure


def _target(what: str, runtime: str) -> float:
    if what == "no-change":
        return _NOTHING_CHANGED
    return _EDIT_PODMAN if runtime == "podman" else _EDIT


@contextmanager
def _project(*, large: bool) -> Iterator[Project]:
    with project("hello-world") as copy:
        if large:
            with (copy.folder / "weights.bin").open("wb") as weights:
                for _ in range(_LARGE_BYTES // 1_000_000):
                    weights.write(os.urandom(1_000_000))
        yield copy


@contextmanager
def _place(runtime: str) -> Iterator[tuple[dict[str, str], str]]:
    """Yield the variables under which a runtime is found, and what it is."""
    if runtime == "bundle":
        yield {}, "no daemon"
    elif runtime == "podman":
        if not shutil.which("podman"):
            sys.exit("This benchmark needs Podman.")
        asked = ["podman", "info", "--format", "{{.Version.Version}}, {{.Store.GraphDriverName}}"]
        yield {}, f"Podman {run(asked, ROOT).strip()}"
    elif runtime == "docker":
        if not has_docker():
            sys.exit("This benchmark needs a Docker daemon.")
        yield {}, docker_title({})
    else:
        from tests.hooks.docker.daemons import daemon  # noqa: PLC0415 - needs what tests need, and to be root

        with (
            tempfile.TemporaryDirectory() as folder,
            tempfile.TemporaryDirectory() as sockets,
            daemon("sid", Path(folder, "machine"), Path(sockets), tls=False) as running,
        ):
            environ = {"DOCKER_HOST": running.address}
            yield environ, docker_title(environ)


def docker_title(environ: dict[str, str]) -> str:
    """Return what is at ``DOCKER_HOST``: ``Docker 28.5.2, containerd's store``."""
    from cog_nix_hooks.docker.endpoint import find_endpoint  # noqa: PLC0415 - only with Docker
    from cog_nix_hooks.docker.engine import Engine  # noqa: PLC0415
    from cog_nix_hooks.docker.images import Images, Store  # noqa: PLC0415

    engine = Engine(find_endpoint({**os.environ, **environ}))
    version = engine.get("/version")["Version"].partition("+")[0]
    store = engine.get("/info")["Driver"]
    if Images(engine).store is Store.BLOBS:
        store = "containerd's store"
    engine.close()
    return f"Docker {version}, {store}"


def _remove(runtime: str, copy: Project) -> None:
    commands = {"docker": ["docker", "rmi", "--force", _TAG], "podman": ["podman", "rmi", "--force", _TAG]}
    if command := commands.get(runtime):
        subprocess.run(command, cwd=copy.folder, capture_output=True, check=False)
