"""GPUs: the driver, its devices and specifications, and whether they fit what the project is locked to."""

from __future__ import annotations

import ctypes
import os
import shutil
from typing import TYPE_CHECKING

from cog_nix.cdi.failures import REMEDY
from cog_nix.cdi.find import discover, specified
from cog_nix.cdi.gpus import KIND, GpuRequest
from cog_nix.cdi.machine import CUDA, Machine
from cog_nix.cdi.registry import Registry, folders
from cog_nix.config import load
from cog_nix.config import torch as facts
from cog_nix.errors import CogNixError
from cog_nix.lock import format as lock_format
from cog_nix.plugins.spec import Finding
from cog_nix.system.processes import run

from . import builds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.config.model import Project

    from .builds import Version

SKIP = "COG_SKIP_GPU_CHECK"
_CHECK = "GPU compatibility"
_MEMORY = "/dev/nvidia-uvm"
"""Unified memory. The first CUDA program after a start of the machine makes it, outside of containers."""
_WRITE = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"


def examine(project: Project | None, machine: Machine | None = None) -> Iterator[Finding]:
    """Look at the GPUs here, and at the project's lock where there is one.

    Args:
        project: None: there is none here.
        machine: where to look; None: this one.
    """
    if os.environ.get(SKIP):
        return
    machine = machine or Machine()
    registry = Registry.read(folders())
    for problem in registry.problems:
        yield Finding(_CHECK, "warning", problem, "Write the file again with the tool that made it.")
    if not (machine.gpus or machine.windows or machine.version):
        if project and wants_gpu(project):
            yield Finding(_CHECK, "ok", "no NVIDIA GPU here: the model will run without one")
        return
    highest = highest_cuda(machine.library_folder)
    yield from _driver(machine, highest)
    yield from _devices(machine, registry)
    if project and wants_gpu(project):
        yield from _fit(project, machine, highest)


def wants_gpu(project: Project) -> bool:
    """Whether the project's configuration says ``gpu: true``; one that is wrong is told elsewhere."""
    try:
        return load(project).config.build.gpu
    except CogNixError:
        return False


def _driver(machine: Machine, highest: Version | None) -> Iterator[Finding]:
    if machine.library_folder is None:
        yield Finding(
            _CHECK,
            "warning",
            f"The kernel has NVIDIA's driver {machine.version}, and its libraries were not found ({CUDA}).",
            "Install the libraries of the same version (Debian: libcuda1, Ubuntu: libnvidia-compute-…).",
        )
        return
    if machine.library_version and machine.version != machine.library_version:
        yield Finding(
            _CHECK,
            "warning",
            f"The kernel has NVIDIA's driver {machine.version}, and its libraries are "
            f"{machine.library_version}.",
            "Reboot, so that the kernel takes the new driver.",
        )
    upto = f", CUDA up to {builds.shown(highest)}" if highest else ""
    count = f", {len(machine.gpus)} GPU{'' if len(machine.gpus) == 1 else 's'}" if machine.gpus else ""
    yield Finding(_CHECK, "ok", f"NVIDIA's driver {machine.version or 'of unknown version'}{upto}{count}")


def _devices(machine: Machine, registry: Registry) -> Iterator[Finding]:
    if machine.gpus and _MEMORY not in machine.control_nodes:
        yield Finding(
            _CHECK,
            "warning",
            f"There is no {_MEMORY}, without which CUDA does not start in a container.",
            "sudo nvidia-modprobe -u -c=0",
        )
    files = ", ".join(str(one.path) for one in registry.specifications if one.kind == KIND)
    try:
        if specified(GpuRequest(-1), registry, machine) is None:
            discover(GpuRequest(-1), machine)
    except CogNixError as error:
        yield Finding(_CHECK, "warning", error.message, error.hint or REMEDY)
        return
    if files:
        yield Finding(_CHECK, "ok", f"{KIND} is described by {files}: {', '.join(registry.names(KIND))}")
    elif shutil.which("nvidia-ctk"):
        yield Finding(
            _CHECK, "ok", f"no CDI specification; the driver is found without. `{_WRITE}` writes one"
        )
    else:
        yield Finding(_CHECK, "ok", "no CDI specification, and no nvidia-ctk; the driver is found without")


def _fit(project: Project, machine: Machine, highest: Version | None) -> Iterator[Finding]:
    try:
        lock = lock_format.read(project.lock_path, project.platform)
    except CogNixError:
        return  # whatever builds the project says so
    found = builds.locked(lock) if lock else None
    if found is None:
        return
    if found.cuda and (why := builds.driver_problem(machine.version, highest, found.cuda)):
        newest = builds.shown(highest or (12,))
        remedy = f"Update the driver, or ask for packages that are built for CUDA {newest}."
        yield Finding(_CHECK, "warning", f"{why}.", remedy)
    elif found.cuda:
        yield Finding(
            _CHECK, "ok", f"the driver runs CUDA {builds.shown(found.cuda)}, which the project is locked to"
        )
    for message, remedy in builds.kernel_problems(compute_capabilities(), found):
        yield Finding(_CHECK, "warning", message, f"{remedy} For another machine's GPU: {SKIP}=1.")


def highest_cuda(folder: Path | None) -> Version | None:
    """Return the newest CUDA that a driver knows, major and minor version; None: it does not tell.

    Args:
        folder: of the driver's libraries. ``cuDriverGetVersion`` needs no GPU (CUDA Driver API, 6.2).
    """
    if folder is None:
        return None
    number = ctypes.c_int()
    try:
        status = ctypes.CDLL(str(folder / CUDA)).cuDriverGetVersion(ctypes.byref(number))
    except (OSError, AttributeError):
        return None
    return (number.value // 1000, number.value % 1000 // 10) if status == 0 and number.value else None


def compute_capabilities() -> list[Version]:
    """Return the compute capabilities of the GPUs here, as nvidia-smi tells them; none: it is not here."""
    try:
        said = run(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]).stdout
    except CogNixError:
        return []
    found = (facts.numbers(line.strip()) for line in said.splitlines())
    return [capability for capability in found if len(capability) == len((9, 0))]
