"""Pushing an edit from a machine that has none of the layers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.registry.held import TAG
from conftest import cog_nix, copy_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.nix, pytest.mark.network]
_WHOLE = "layers, which are neither fetched nor built here"


@dataclass(frozen=True)
class Machine:
    """A project on a machine, and how it pushes."""

    project: Path
    environment: dict[str, str] = field(default_factory=dict)

    def push(self, target: str) -> tuple[str, str]:
        """Push; return the image's digest, and what was told."""
        ran = subprocess.run(
            [sys.executable, "-m", "cog_nix", "push", target, "--json"],
            cwd=self.project,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "hooks")),
                "DOCKER_CONFIG": str(self.project.parent / "docker"),
                **self.environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)["image"].partition("@")[2], ran.stderr

    def edit(self, text: str) -> None:
        """Add a comment to the source."""
        with (self.project / "run.py").open("a") as source:
            source.write(f"# {text}\n")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Return hello-world on a machine whose store has all of it once it was built."""
    folder = tmp_path_factory.mktemp("full")
    return Machine(copy_project(ROOT / "examples/hello-world", folder / "hello-world"))


@pytest.fixture
def empty(full: Machine, tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Return a function that copies the project to a machine with an empty store and an empty cache."""

    def make(**environment: str) -> Machine:
        project = tmp_path / "hello-world"
        shutil.copytree(full.project, project, ignore=shutil.ignore_patterns(".cog", "result"))
        folders = {"COG_NIX_STORE": str(tmp_path / "store"), "COG_NIX_CACHE_DIR": str(tmp_path / "cache")}
        return Machine(project, {**folders, **environment})

    yield make
    subprocess.run(["chmod", "-R", "u+w", str(tmp_path)], check=False, capture_output=True)


def _names(machine: Machine) -> set[str]:
    """Return the names of what the machine's store holds, without derivations."""
    paths = (Path(machine.environment["COG_NIX_STORE"]) / "nix/store").iterdir()
    return {path.name.partition("-")[2] for path in paths if path.suffix != ".drv" and path.name[0] != "."}


def test_an_edit_is_pushed_without_the_layers(
    full: Machine, empty: Callable[..., Machine], registry: str
) -> None:
    target = f"{registry}/thin/hello:v1"
    first, told = full.push(target)
    assert _WHOLE not in told
    runner = empty()
    runner.edit("an edit")
    digest, told = runner.push(target)
    assert re.search(rf"^The registry holds (\d+) of \1 {_WHOLE}$", told, re.MULTILINE), told
    assert re.search(r"^Uploaded 2 of \d+ blobs \([\d.]+ kB\), skipped", told, re.MULTILINE), told
    assert not [name for name in _names(runner) if name.startswith(("layer-", "base-system", "blob-"))]
    downloads = Path(runner.environment["COG_NIX_CACHE_DIR"]) / "downloads"
    fetched = sum(path.stat().st_size for path in downloads.rglob("*") if path.is_file())
    assert fetched < 25e6, "the builders' Python and nothing else"
    full.edit("an edit")
    whole, told = full.push(target)
    assert _WHOLE not in told
    assert (digest == whole, digest == first) == (True, False)


def test_a_large_file_is_sent_from_the_project(
    full: Machine, empty: Callable[..., Machine], registry: str
) -> None:
    target = f"{registry}/thin/large:v1"
    full.push(target)
    large = os.urandom(11 << 20)
    (full.project / "weights.bin").write_bytes(large)
    try:
        runner = empty()
        digest, told = runner.push(target)
        assert re.search(rf"^The registry holds 4 of 4 {_WHOLE}$", told, re.MULTILINE), told
        assert not [name for name in _names(runner) if name.startswith("layer-")]
        store = Path(runner.environment["COG_NIX_STORE"])
        assert not [path for path in store.rglob("*") if path.is_file() and path.stat().st_size == len(large)]
        assert full.push(target)[0] == digest
    finally:
        (full.project / "weights.bin").unlink()


def test_what_the_registry_lacks_is_made(full: Machine, empty: Callable[..., Machine], registry: str) -> None:
    target = f"{registry}/thin/grown:v1"
    full.push(target)
    config, lock = full.project / "cog.yaml", full.project / "cog-nix.lock"
    before = config.read_text(), lock.read_text()
    config.write_text(before[0].replace("build:\n", "build:\n  system_packages: [figlet]\n"))
    try:
        cog_nix("lock", cwd=full.project)
        runner = empty()
        digest, told = runner.push(target)
        assert re.search(rf"^The registry holds 4 of 6 {_WHOLE}$", told, re.MULTILINE), told
        assert full.push(target)[0] == digest
    finally:
        config.write_text(before[0])
        lock.write_text(before[1])


def test_where_keys_are_trusted_only_what_they_signed_counts(
    full: Machine, empty: Callable[..., Machine], registry: str, tmp_path: Path
) -> None:
    secret, public = tmp_path / "secret", tmp_path / "public"
    subprocess.run(["nix-store", "--generate-binary-cache-key", "ci-1", secret, public], check=True)
    target = f"{registry}/thin/signed:v1"
    full.push(target)
    trusting = {"COG_NIX_TRUSTED_PUBLIC_KEYS": public.read_text().strip()}
    # With the downloads that are here: this builds all of it.
    runner = empty(**trusting, COG_NIX_CACHE_DIR=_cache())
    digest, told = runner.push(target)
    assert _WHOLE not in told
    signing = Machine(full.project, {**trusting, "COG_NIX_SECRET_KEY_FILE": str(secret)})
    assert signing.push(target)[0] == digest
    assert "signatures" in json.dumps(_record(registry, "thin/signed"))
    assert secret.read_text().strip().partition(":")[2] not in json.dumps(_record(registry, "thin/signed"))
    shutil.rmtree(runner.project)
    subprocess.run(["chmod", "-R", "u+w", runner.environment["COG_NIX_STORE"]], check=True)
    shutil.rmtree(runner.environment["COG_NIX_STORE"])
    again, told = empty(**trusting).push(target)
    assert _WHOLE in told
    assert again == digest


def _cache() -> str:
    from cog_nix.system.paths import cache_dir  # noqa: PLC0415 - as the product finds it

    return str(cache_dir())


def _record(registry: str, repository: str) -> Any:
    base = f"http://{registry}/v2/{repository}"
    accepted = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    asked = urllib.request.Request(f"{base}/manifests/{TAG}", headers=accepted)  # noqa: S310 - loopback
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=10) as answer:
        (layer,) = json.load(answer)["layers"]
    with opener.open(f"{base}/blobs/{layer['digest']}", timeout=10) as answer:
        return json.load(answer)
