"""An image for linux/arm64 that a machine for linux/amd64 makes: its programs run through an emulator."""

from __future__ import annotations

import json
import subprocess
import tarfile
import urllib.request
from typing import TYPE_CHECKING

import pytest

from cog_nix.elf.dynamic import MAGIC
from cog_nix.image.description import ImageDescription
from cog_nix.lock import format as lock_format
from cog_nix.plugins.manager import find_runtime
from cog_nix.plugins.spec import ExaminedRuntime
from cog_nix.system.platforms import AMD64, ARM64
from conftest import cog_nix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.nix, pytest.mark.network, pytest.mark.slow]

_ACCEPTED = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)


def _architectures(image: Path) -> set[int]:
    """Return ``e_machine`` of all programs and libraries of an image."""
    found = set()
    with (
        subprocess.Popen([image], stdout=subprocess.PIPE) as written,
        tarfile.open(fileobj=written.stdout, mode="r|") as archive,
    ):
        for one in archive:
            stream = archive.extractfile(one) if one.name.endswith(".tar") else None
            if stream is None:
                continue
            with tarfile.open(fileobj=stream, mode="r|") as layer:
                for member in layer:
                    file = layer.extractfile(member) if member.isreg() else None
                    start = file.read(20) if file else b""
                    if start[:4] == MAGIC:
                        found.add(int.from_bytes(start[18:20], "little"))
    return found


def test_both_are_in_one_lock(hello: Path) -> None:
    lock = hello / "cog-nix.lock"
    assert lock_format.locked_platforms(lock) == (AMD64, ARM64)
    for platform in (AMD64, ARM64):
        found = lock_format.read(lock, platform)
        assert found
        assert {deb.architecture for deb in found.debs} == {platform.debian, "all"}
        tags = {wheel.artifact.filename.rpartition("-")[2].removesuffix(".whl") for wheel in found.wheels}
        assert all(tag == "any" or platform.machine in tag for tag in tags)
        assert {deb.architecture for deb in found.seed.debs} <= {"amd64", "all"}  # builders run here


def test_all_of_the_image_is_for_the_platform(hello: Path) -> None:
    image = ImageDescription.read((hello / "result").resolve())
    assert (image.config["os"], image.config["architecture"]) == ("linux", "arm64")
    environment = dict(one.split("=", 1) for one in image.config["config"]["Env"])
    assert environment["LD_LIBRARY_PATH"].startswith("/usr/lib/aarch64-linux-gnu:")
    assert _architectures(hello / "result") == {ARM64.elf_machine}


def test_the_model_answers_without_a_daemon(hello: Path) -> None:
    asked = ("run", "--platform", "linux/arm64", "--setup-timeout", "300", "-i", "text=Ada")
    ran = cog_nix("--runtime", "bundle", *asked, cwd=hello)
    assert ran.stdout == "hello Ada\n"


@pytest.mark.docker
def test_the_model_answers_in_docker(hello: Path) -> None:
    asked = ("run", "--platform", "linux/arm64", "--setup-timeout", "300", "-i", "text=Ada")
    assert cog_nix("--runtime", "docker", *asked, cwd=hello).stdout == "hello Ada\n"


def test_building_again_makes_the_same(hello: Path) -> None:
    before = ImageDescription.read((hello / "result").resolve()).id
    (hello / "result").unlink()
    cog_nix("build", "--no-load", "--platform", "arm64", cwd=hello)
    assert ImageDescription.read((hello / "result").resolve()).id == before


def test_a_registry_has_both_under_one_name(hello: Path, start_registry: Callable[..., str]) -> None:
    host = start_registry()
    pushed = json.loads(cog_nix("push", f"{host}/me/two:v1", "--json", cwd=hello).stdout)

    def get(name: str, kind: str = "manifests") -> bytes:
        request = urllib.request.Request(
            f"http://{host}/v2/me/two/{kind}/{name}", headers={"Accept": _ACCEPTED}
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
            read: bytes = answer.read()
        return read

    index = json.loads(get("v1"))
    assert pushed["image"].rpartition("@")[2].startswith("sha256:")
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    configs = {}
    for one in index["manifests"]:
        manifest = json.loads(get(one["digest"]))
        configs[one["platform"]["architecture"]] = json.loads(get(manifest["config"]["digest"], "blobs"))
    assert {name: config["architecture"] for name, config in configs.items()} == {
        "amd64": "amd64",
        "arm64": "arm64",
    }


@pytest.mark.docker
@pytest.mark.parametrize("runtime", ["docker", "bundle"])
def test_what_is_pulled_is_for_the_platform_that_is_asked_for(
    hello: Path, start_registry: Callable[..., str], runtime: str
) -> None:
    image = f"{start_registry()}/me/two:v1"
    cog_nix("push", image, cwd=hello)
    only = ("--case", "image-labels", "--json")
    for platform in (ARM64, AMD64):
        cog_nix("--runtime", runtime, "check", image, "--platform", platform.name, *only, cwd=hello)
        held = find_runtime(runtime)
        assert isinstance(held, ExaminedRuntime)
        assert held.image_attributes(image)["Architecture"] == platform.architecture
        if runtime == "docker":
            subprocess.run(["docker", "rmi", image], stdout=subprocess.DEVNULL, check=True)


_COMPILED = """\
build:
  python_version: "3.13"
  python_requirements: requirements.txt
  run:
    - uname -m > /machine
    - echo 'int puts(const char *); int main(void) { puts("compiled"); }' | cc -xc -o /usr/local/bin/said -
run: "run.py:Runner"
"""
_RUNNER = """\
import subprocess
from pathlib import Path

from cog import BaseRunner, Input
from markupsafe._speedups import _escape_inner


class Runner(BaseRunner):
    def run(self, text: str = Input()) -> str:
        return _escape_inner(text) + Path("/machine").read_text() + subprocess.check_output("said", text=True)
"""


@pytest.mark.usefixtures("emulator")
def test_what_is_compiled_is_for_the_platform(tmp_path: Path) -> None:
    (tmp_path / "cog.yaml").write_text(_COMPILED)
    (tmp_path / "requirements.txt").write_text("--no-binary=markupsafe\nmarkupsafe==3.0.2\n")
    (tmp_path / "run.py").write_text(_RUNNER)
    cog_nix("lock", "--platform", "linux/arm64", cwd=tmp_path)
    asked = ("run", "--platform", "linux/arm64", "--setup-timeout", "300", "-i", "text=<Ada>")
    ran = cog_nix("--runtime", "bundle", *asked, cwd=tmp_path)
    cog_nix("build", "--no-load", "--platform", "linux/arm64", cwd=tmp_path)
    assert ran.stdout == "&lt;Ada&gt;aarch64\ncompiled\n\n"
    assert _architectures(tmp_path / "result") == {ARM64.elf_machine}


def test_a_package_that_the_platform_lacks_is_named(hello: Path, tmp_path: Path) -> None:
    for name in ("cog-nix.lock", "run.py"):
        (tmp_path / name).write_bytes((hello / name).read_bytes())
    (tmp_path / "cog.yaml").write_text(
        'build:\n  python_version: "3.13"\n  system_packages: [libquadmath0]\nrun: "run.py:Runner"\n'
    )
    refused = cog_nix("lock", "--platform", "linux/arm64", cwd=tmp_path, check=False)
    assert refused.returncode == 1
    assert "libquadmath0" in refused.stderr
    assert "trixie for arm64" in refused.stderr
