"""The commands that are disturbed, and how each is made to have something to do again."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING

import httpx

from tests.faults.kills import Scenario
from tests.faults.world import CONFIG, PREDICTOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.world import World

_NO_LOAD = ("build", "--no-load")


def edit(world: World, number: int) -> None:
    """Make the source another one than before, and the same for the same number."""
    (world.project / "run.py").write_text(f"{PREDICTOR}\n\nNUMBER = {number}\n")


def _unlocked(world: World, number: int) -> None:
    edit(world, number)
    (world.project / "cog-nix.lock").unlink(missing_ok=True)


def _unresolved(world: World, number: int) -> None:
    """Ask for another Python package each time, so that everything after it is new as well."""
    packages = ("idna", "colorama", "certifi", "toolz", "six", "packaging", "click", "attrs", "tomli")
    chosen = [packages[number % len(packages)], packages[(number // len(packages) + number) % len(packages)]]
    (world.project / "requirements.txt").write_text("".join(f"{name}\n" for name in sorted(set(chosen))))
    config = CONFIG.replace("run:", "  python_requirements: requirements.txt\nrun:", 1)
    (world.project / "cog.yaml").write_text(config)


def _commanded(world: World, number: int) -> None:
    """Have a command that was not run yet, whose process lasts for a moment."""
    command = f"sleep 0.5; echo {number} > /number"
    config = CONFIG.replace("run:", f"  run:\n    - {json.dumps(command)}\nrun:", 1)
    (world.project / "cog.yaml").write_text(config)


def _lock_text(world: World) -> str:
    return (world.project / "cog-nix.lock").read_text()


def _without_layers(world: World) -> str:
    """Return the image's id where the lock is part of what is compared."""
    return f"{world.image_id()} {_lock_text(world)}"


def lock() -> Scenario:
    return Scenario("lock", ("lock",), _unlocked, _lock_text)


def locking_packages() -> Scenario:
    return Scenario("lock of other packages", ("lock",), _unresolved, _lock_text)


def build() -> Scenario:
    return Scenario("build", _NO_LOAD, edit, lambda world: world.image_id())


def run_commands() -> Scenario:
    return Scenario("run:", (*_NO_LOAD, "--update-lock"), _commanded, _without_layers)


def written() -> Scenario:
    """Return a build that writes an archive beside the project's files."""

    def prepare(world: World, number: int) -> None:
        edit(world, number)
        (world.folder / "out").mkdir(exist_ok=True)

    def leftovers(world: World) -> list[str]:
        out = [str(path) for path in (world.folder / "out").iterdir() if path.name != "image.tar"]
        return [*out, *world.files_left()]

    def result(world: World) -> str:
        return subprocess.check_output(["sha256sum", world.folder / "out/image.tar"], text=True)

    command = ("build", "--no-load", "-o", "../out/image.tar")
    return Scenario("build -o", command, prepare, result, leftovers)


def push(registry: str) -> Scenario:
    """Return pushes, each to a repository that has nothing yet.

    Args:
        registry: ``localhost:PORT``.
    """
    last: list[str] = []

    def prepare(world: World, number: int) -> None:
        last[:] = [f"faults/{world.token}-{number}"]
        (world.project / "cog.yaml").write_text(CONFIG + f"image: {registry}/{last[0]}\n")

    def result(_world: World) -> str:
        return _pushed(f"http://{registry}/v2/{last[0]}")

    return Scenario("push", ("push",), prepare, result)


def _pushed(repository: str) -> str:
    """Return the digests of an image's blobs; each must be there, and be what its digest says."""
    kinds = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    with httpx.Client(headers={"Accept": kinds}, trust_env=False, timeout=60) as client:
        manifest = client.get(f"{repository}/manifests/latest").raise_for_status().json()
        digests = [one["digest"] for one in [manifest["config"], *manifest["layers"]]]
        for digest in digests:
            blob = client.get(f"{repository}/blobs/{digest}").raise_for_status().content
            assert f"sha256:{hashlib.sha256(blob).hexdigest()}" == digest
    return " ".join(digests)


def load(runtime: str) -> Scenario:
    """Return builds that are loaded into a runtime."""
    return Scenario(
        f"load into {runtime}", ("--runtime", runtime, "build"), edit, lambda world: world.image_id()
    )


def predict(runtime: str) -> Scenario:
    """Return predictions in a runtime, of an image that it holds after the first."""

    def result(world: World) -> str:
        return world.run("--runtime", runtime, "run", "-i", "text=again").stdout

    return Scenario(
        f"prediction in {runtime}",
        ("--runtime", runtime, "run", "-i", "text=hello"),
        lambda world, _number: edit(world, 0),
        result,
    )


LOCAL: dict[str, Callable[[], Scenario]] = {
    "lock": lock,
    "packages": locking_packages,
    "build": build,
    "run": run_commands,
    "out": written,
}
RUNTIMES = ("docker", "podman", "bundle")
