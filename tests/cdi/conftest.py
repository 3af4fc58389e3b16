"""A driver that is none: libraries that say what version they are, device files that are others' links."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.cdi.registry import VARIABLE
from cog_nix.system.platforms import BUILDER
from tests.hooks.docker.conftest import Store, programs

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = "550.54.15"
CUDA = 12040
_DRIVER = f"""
int cuInit(unsigned int flags) {{ return flags; }}
int cuDeviceGetCount(int *count) {{ *count = 1; return 0; }}
int cuDriverGetVersion(int *version) {{ *version = {CUDA}; return 0; }}
"""
_PROBE = """
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    for (int index = 1; index < argc; index++) {
        void *library = dlopen(argv[index], RTLD_NOW);
        int (*version)(int *) = library ? dlsym(library, "cuDriverGetVersion") : 0;
        int number = 0;
        if (version)
            version(&number);
        printf("%s %s %d\\n", argv[index], library ? "found" : dlerror(), number);
        if (version && getenv("COUNT")) {
            int (*start)(unsigned int) = dlsym(library, "cuInit");
            int (*count)(int *) = dlsym(library, "cuDeviceGetCount");
            int status = start(0);
            number = -1;
            if (status == 0)
                status = count(&number);
            printf("status %d, %d GPUs\\n", status, number);
        }
    }
    return 0;
}
"""


def compile_c(source: str, target: Path, *options: str) -> Path:
    """Compile C to a program or a library."""
    target.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-x", "c", "-", "-x", "none", "-o", str(target), *options]
    subprocess.run(command, input=source, text=True, check=True, capture_output=True)
    return target


FOLDER = f"/usr/lib/{BUILDER.triplet}"
LOOK = (
    "echo devices $(ls /dev/nvidia*); head -c 3 /dev/nvidia0 | od -An -tx1; echo env $WHO;"
    "probe libcuda.so.1 libcuda.so libnvidia-ml.so.1 libc.so.6; ldconfig -p | grep libcuda"
)
HOOKS = [
    {"hookName": "createContainer", "path": "/nowhere/nvidia-cdi-hook", "args": ["nvidia-cdi-hook", *words]}
    for words in (
        ["create-symlinks", "--link", f"libcuda.so.1::{FOLDER}/libcuda.so"],
        ["enable-cuda-compat", f"--host-driver-version={VERSION}"],
        ["update-ldcache", "--folder", FOLDER],
    )
]
GPU0 = {"deviceNodes": [{"path": "/dev/nvidia0", "hostPath": "/dev/zero"}]}


@dataclass(frozen=True)
class Driver:
    """What an installed driver leaves below a root folder."""

    root: Path
    folder: Path
    """Its libraries."""

    def add_gpu(self, index: int, uuid: str = "") -> None:
        """Add a device file, and what the kernel module tells of it when it has a UUID."""
        (self.root / "dev").mkdir(exist_ok=True)
        (self.root / f"dev/nvidia{index}").symlink_to("/dev/zero")
        if uuid:
            told = self.root / f"proc/driver/nvidia/gpus/0000:0{index}:00.0/information"
            told.parent.mkdir(parents=True)
            told.write_text(f"Model: \t\t Fake\nGPU UUID: \t {uuid}\nDevice Minor: \t {index}\n")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the driver's libraries and a program that looks for them."""
    folder = tmp_path_factory.mktemp("compiled")
    for name, source in (("cuda", _DRIVER), ("nvidia-ml", "int nvml;"), ("nvidia-glcore", "int gl;")):
        soname = f"lib{name}.so.{VERSION if name == 'nvidia-glcore' else 1}"
        path = folder / f"lib{name}.so.{VERSION}"
        compile_c(source, path, "-shared", "-fPIC", f"-Wl,-soname,{soname}")
    compile_c(_PROBE, folder / "probe", "-ldl")
    return folder


@pytest.fixture
def driver(tmp_path: Path, compiled: Path) -> Driver:
    """A driver with its control device files and no GPU."""
    root = tmp_path / "machine"
    folder = root / FOLDER.lstrip("/")
    folder.mkdir(parents=True)
    for path in sorted(compiled.glob("lib*")):
        (folder / path.name).write_bytes(path.read_bytes())
        if "glcore" not in path.name:
            (folder / path.name.replace(VERSION, "1")).symlink_to(path.name)
    (folder / f"libother.so.{VERSION}.1").write_bytes(b"not the driver's")
    (root / "dev/nvidia-caps").mkdir(parents=True)
    for name in ("nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1"):
        (root / "dev" / name).symlink_to("/dev/null")
    (root / "dev/nvidia-notes").write_text("no device")
    (root / "usr/bin").mkdir()
    (root / "usr/bin/nvidia-smi").write_text("#!/bin/sh\necho fake\n")
    (root / "usr/bin/nvidia-smi").chmod(0o755)
    (root / "proc/driver/nvidia").mkdir(parents=True)
    (root / "proc/driver/nvidia/version").write_text(
        f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {VERSION}  Release Build  (build@host)\n"
    )
    return Driver(root, folder)


@pytest.fixture
def specify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that writes a specification where the next look-up finds it."""
    folder = tmp_path / "cdi"
    folder.mkdir()
    monkeypatch.setenv(VARIABLE, str(folder))

    def write(devices: dict[str, Any], edits: dict[str, Any] | None = None, **more: Any) -> Path:
        name: str = more.pop("name", "nvidia.json")
        document = {
            "cdiVersion": "0.6.0",
            "kind": "nvidia.com/gpu",
            "devices": [{"name": name, "containerEdits": one} for name, one in devices.items()],
            **({"containerEdits": edits} if edits is not None else {}),
            **more,
        }
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document))
        return path

    return write


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory, compiled: Path) -> Path:
    """The program of an image with a linker's cache of its own, and no LD_LIBRARY_PATH."""
    base = programs("sh", "ls", "cat", "head", "od", "grep", "rm")
    base["bin/probe"] = (compiled / "probe").read_bytes()
    base["sbin/ldconfig"] = Path("/sbin/ldconfig").read_bytes()
    root = tmp_path_factory.mktemp("root")
    for name in [name for name in base if ".so" in name]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(base[name])
    (root / "etc").mkdir()
    subprocess.run(["/sbin/ldconfig", "-r", str(root)], check=True, capture_output=True)
    base["etc/ld.so.cache"] = (root / "etc/ld.so.cache").read_bytes()
    base["etc/ld.so.conf"] = b"include /etc/ld.so.conf.d/*.conf\n"
    made = Store(tmp_path_factory.mktemp("image"))
    return made.build(base, Env=["PATH=/bin:/sbin", "WHO=image"], Cmd=["sh", "-c", LOOK]).program


def specified(driver: Driver, **more: Any) -> dict[str, Any]:
    """The edits that ``nvidia-ctk cdi generate`` writes for all containers."""
    names = sorted(path.name for path in driver.folder.glob(f"lib*.so.{VERSION}"))
    return {
        "env": ["WHO=specification"],
        "deviceNodes": [{"path": "/dev/nvidiactl", "hostPath": "/dev/null", "permissions": "rw"}],
        "mounts": [
            {
                "hostPath": str(driver.folder / name),
                "containerPath": f"{FOLDER}/{name}",
                "options": ["ro", "nosuid", "nodev", "rbind", "rprivate"],
            }
            for name in names
        ],
        **more,
    }


def check(said: str, folder: str, who: str) -> None:
    lines = said.splitlines()
    assert lines[0] == "devices /dev/nvidia0 /dev/nvidiactl"
    assert lines[1:3] == [" 00 00 00", f"env {who}"]
    assert lines[3:7] == [
        f"libcuda.so.1 found {CUDA}",
        f"libcuda.so found {CUDA}",
        "libnvidia-ml.so.1 found 0",
        "libc.so.6 found 0",
    ]
    assert [line.split()[-1] for line in lines[7:]] == [f"{folder}/libcuda.so.1", f"{folder}/libcuda.so"]
