"""GPUs in real containers: the device, the driver through the linker's cache, the environment, the hooks."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.cdi import find
from cog_nix.cdi.failures import CdiError, MissingDeviceDriverError
from cog_nix.cdi.machine import Machine
from cog_nix.cdi.registry import VARIABLE
from cog_nix.plugins.spec import ContainerRequest
from cog_nix.report import SilentReporter
from cog_nix.runtime.session import start
from cog_nix_hooks.bundle.programs import ENGINES
from cog_nix_hooks.bundle.runtime import BundleRuntime
from tests.runtimes.conftest import usable

from .conftest import CUDA, FOLDER, GPU0, HOOKS, LOOK, Driver, check, specified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


PLAIN_USER = (65534, 65534)
MODULES = (
    *("cog_nix", "cog_nix_hooks", "pluggy"),
    *("jsonschema", "jsonschema_specifications", "referencing", "rpds", "attr", "attrs", "typing_extensions"),
)
HOOK = """#!/bin/sh
# As an OCI hook is called: the container's state on stdin, its root file system already mounted.
bundle=$(sed -n 's/.*"bundle": *"\\([^"]*\\)".*/\\1/p')
echo "$@" > "$bundle/rootfs/hooked"
"""


@pytest.fixture(params=ENGINES)
def runtime(request: pytest.FixtureRequest, tmp_path: Path, image: Path) -> BundleRuntime:
    """A runtime with each engine, that holds the image."""
    made = BundleRuntime(tmp_path / "bundle", engine=usable(request.param))
    made.load(image, ["gpu"], SilentReporter())
    return made


def output(runtime: BundleRuntime, **changes: Any) -> str:
    with runtime.start(ContainerRequest("gpu", **{"gpus": "all", **changes})) as container:
        status = container.wait(20)
        said = container.logs()
    assert status == 0, said
    return said


def test_a_specification(runtime: BundleRuntime, specify: Callable[..., Path], driver: Driver) -> None:
    specify({"0": GPU0, "all": GPU0}, specified(driver, hooks=HOOKS))
    check(output(runtime), FOLDER, "specification")
    assert "devices /dev/nvidia0" in output(runtime, gpus="device=0", env={"WHO": "request"})
    with pytest.raises(CdiError, match=r"no device nvidia.com/gpu=1"):
        runtime.start(ContainerRequest("gpu", gpus="2"))


def test_no_specification(
    runtime: BundleRuntime, specify: Callable[..., Path], driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    del specify  # its folder is empty
    (driver.root / "dev/nvidia-caps/nvidia-cap1").unlink()
    (driver.root / "dev/nvidia-uvm").unlink()
    monkeypatch.setattr(find, "Machine", lambda: Machine(driver.root))
    with pytest.raises(MissingDeviceDriverError, match="no /dev/nvidia0"):
        runtime.start(ContainerRequest("gpu", gpus="all"))
    driver.add_gpu(0)
    check(output(runtime), find.LIBRARY_FOLDER, "image")
    # Whoever calls ldconfig later, as apt does, still has the driver; and nothing of it is in the image.
    again = ("sh", "-c", f"ldconfig && rm /etc/ld.so.conf.d/* && {LOOK}")
    said = output(runtime, command=again).splitlines()
    assert [f"libcuda.so.1 found {CUDA}", f"libcuda.so found {CUDA}"] == said[3:5]
    plain = output(runtime, gpus=None, command=("sh", "-c", "ls /dev /etc; ldconfig -p | grep cuda; :"))
    assert "nvidia" not in plain
    assert "cuda" not in plain


def test_hooks_are_run(runtime: BundleRuntime, specify: Callable[..., Path], tmp_path: Path) -> None:
    program = tmp_path / "own-hook"
    program.write_text(HOOK)
    program.chmod(0o755)
    hook = {"hookName": "createContainer", "path": str(program), "args": ["own-hook", "some", "words"]}
    specify({"all": GPU0}, {"hooks": [hook]})
    request = ContainerRequest("gpu", gpus="all", command=("cat", "/hooked"))
    if Path(str(runtime._named_engine)).name == "bwrap":
        with pytest.raises(
            CdiError, match="createContainer hook that cannot be run here: own-hook some words"
        ):
            runtime.start(request)
        return
    with runtime.start(request) as container:
        assert (container.wait(20), container.logs()) == (0, "some words\n")


def test_without_a_driver_models_run_without_gpus(
    runtime: BundleRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    monkeypatch.setattr(find, "Machine", lambda: Machine(tmp_path / "empty"))
    request = ContainerRequest("gpu", gpus="all", command=("ls", "/dev"))
    with start(runtime, request, SilentReporter()) as container:
        assert container.wait(20) == 0
        assert "nvidia" not in container.logs()
    with pytest.raises(MissingDeviceDriverError):
        start(runtime, replace(request, gpus="1"), SilentReporter())


@pytest.mark.skipif(not Path("/dev/nvidia0").exists(), reason="this machine has no GPU")
@pytest.mark.parametrize("without", [False, True], ids=["as-it-is", "without-specifications"])
def test_a_real_driver(
    without: bool,  # noqa: FBT001
    runtime: BundleRuntime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if without:
        monkeypatch.setenv(VARIABLE, str(tmp_path))
    said = output(runtime, command=("probe", "libcuda.so.1", "libcuda.so"), env={"COUNT": "1"}).splitlines()
    assert said[1::2] == [f"status 0, {len(Machine().gpus)} GPUs"] * 2


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A folder that belongs to a plain user."""
    folder = Path(tempfile.mkdtemp(prefix="cog-nix-plain-"))
    os.chown(folder, *PLAIN_USER)
    yield folder
    shutil.rmtree(folder)


PLAIN = """
import sys
from pathlib import Path
from cog_nix.report import SilentReporter
from cog_nix.plugins.spec import ContainerRequest
from cog_nix_hooks.bundle.runtime import BundleRuntime

runtime = BundleRuntime(Path(sys.argv[1]), engine=sys.argv[2])
if why := runtime.available():
    sys.exit(why)
runtime.load(Path(sys.argv[3]), ["gpu"], SilentReporter())
with runtime.start(ContainerRequest("gpu", gpus="all")) as container:
    container.wait(20)
    print(container.logs(), end="")
"""


@pytest.mark.root
@pytest.mark.parametrize("engine", ENGINES)
def test_a_plain_user(
    engine: str,
    image: Path,
    *,
    specify: Callable[..., Path],
    driver: Driver,
    foreign: Path,
    readable_python: str,
) -> None:
    copied = Driver(foreign / "machine", foreign / "machine" / driver.folder.relative_to(driver.root))
    shutil.copytree(driver.root, copied.root, symlinks=True)
    shutil.copy(specify({"all": GPU0}, specified(copied, hooks=HOOKS)), foreign)
    # Modules and images may lie where that user cannot read them.
    program = shutil.copytree(image.parent, foreign / "image") / "image"
    program.write_text(program.read_text().replace(sys.executable, readable_python))
    for name in MODULES:
        origin = Path(str(importlib.import_module(name).__file__))
        target = foreign / "modules" / (name if origin.name == "__init__.py" else origin.name)
        copy = shutil.copytree if target.name == name else shutil.copy
        target.parent.mkdir(exist_ok=True)
        copy(origin.parent if target.name == name else origin, target)
    subprocess.run(["chmod", "-R", "a+rX", foreign], check=True)
    subprocess.run(["chown", "-R", ":".join(map(str, PLAIN_USER)), foreign / "image"], check=True)
    user, group = map(str, PLAIN_USER)
    done = subprocess.run(
        [
            *("setpriv", "--reuid", user, "--regid", group, "--clear-groups"),
            *(readable_python, "-c", PLAIN, str(foreign / "bundle")),
            *(usable(engine), str(foreign / "image/image")),
        ],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(foreign),
            "PYTHONPATH": str(foreign / "modules"),
            VARIABLE: str(foreign),
        },
        cwd=foreign,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    check(done.stdout, FOLDER, "specification")
