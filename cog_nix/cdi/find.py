"""From ``--gpus`` to what a container needs. One function tells the story."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.cdi import hooks
from cog_nix.cdi.failures import (
    MissingDeviceDriverError,
    MissingFilesError,
    TooFewGpusError,
    UnknownDeviceError,
)
from cog_nix.cdi.gpus import KIND, GpuRequest
from cog_nix.cdi.machine import CUDA, Machine
from cog_nix.cdi.model import DeviceNode, Edits, Mount, Placement
from cog_nix.cdi.registry import Registry, folders, is_qualified

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cog_nix.cdi.machine import Gpu

LIBRARY_FOLDER = "/usr/local/nvidia/lib64"
"""Where the driver's libraries go: on the LD_LIBRARY_PATH of every Cog image, and in no package of a
distribution, so that nothing of the image is covered."""
_READ_ONLY = ("ro", "nosuid", "nodev", "rbind", "rprivate")
_WSL = "/usr/lib/wsl"


def find_devices(gpus: str, *, runs_hooks: bool, machine: Machine | None = None) -> Edits:
    """Return what a container needs for the GPUs that are asked for.

    Args:
        gpus: as ``docker run --gpus`` takes it; 0 GPUs need nothing.
        runs_hooks: whether the runtime runs the hooks of specifications. Otherwise the known ones become a
            placement, and the edits have no hooks.
        machine: where they are; None: this one.

    Raises:
        MissingDeviceDriverError: there is no driver or no GPU here.
        CdiError: a specification does not have what is asked for, or a hook is needed that cannot be run.
        RuntimeFailure: the request is none, or asks for a GPU that is not here.
    """
    request = GpuRequest.parse(gpus)
    if request == GpuRequest():
        return Edits()
    machine = machine or Machine()
    registry = Registry.read(folders())
    try:
        edits = specified(request, registry, machine)
    except MissingDeviceDriverError as error:
        # The driver has changed since somebody wrote it down.
        if not machine.gpus or any(map(is_qualified, request.ids)):
            raise
        return discover(request, machine, (error.message, *registry.problems))
    if edits is None:
        return discover(request, machine, registry.problems)
    return hooks.without(edits, all_of_them=not runs_hooks)


def specified(request: GpuRequest, registry: Registry, machine: Machine) -> Edits | None:
    """Return what specifications say that a container needs; None: they do not know GPUs.

    Raises:
        MissingDeviceDriverError: they name files that are not here.
        CdiError: they do not have what is asked for.
    """
    names = described(request, registry, machine)
    if not names:
        return None
    edits = registry.edits(names)
    _check_present(edits, registry)
    return edits


def described(request: GpuRequest, registry: Registry, machine: Machine) -> list[str]:
    """Return the qualified names of what is asked for where specifications tell; none: they do not.

    UUIDs become indexes where the specification knows only those.
    """
    if not registry.knows(KIND) and not any(map(is_qualified, request.ids)):
        return []
    known = registry.names(KIND)
    indexes = {gpu.uuid: str(gpu.index) for gpu in machine.gpus if gpu.uuid}
    ids = tuple(one if one in known else indexes.get(one, one) for one in request.ids)
    return GpuRequest(request.count, ids).qualified(known)


def discover(request: GpuRequest, machine: Machine, problems: Sequence[str] = ()) -> Edits:
    """Return what a container needs of a driver that no specification describes.

    Args:
        request: what is asked for.
        machine: where it is.
        problems: what is wrong with specifications, for messages.

    Raises:
        MissingDeviceDriverError: there is no driver or no GPU here.
        RuntimeFailure: a GPU is asked for that is not here.
    """
    if machine.windows and machine.library_folder:
        return _windows(machine)
    if not machine.gpus:
        why = "This machine has no NVIDIA GPU: there is no /dev/nvidia0."
        raise MissingDeviceDriverError(why, problems=problems)
    if not machine.libraries:
        why = f"NVIDIA's driver is incomplete: its {CUDA} was not found."
        raise MissingDeviceDriverError(why, problems=problems)
    nodes = [*(gpu.node for gpu in _chosen(request, machine.gpus)), *machine.control_nodes]
    mounts = [
        Mount(str(one.path), f"{LIBRARY_FOLDER}/{one.path.name}", _READ_ONLY) for one in machine.libraries
    ]
    mounts += [Mount(str(path), f"/usr/bin/{path.name}", _READ_ONLY) for path in machine.programs]
    known = tuple((one.soname, f"{LIBRARY_FOLDER}/{one.path.name}") for one in machine.libraries)
    return Edits(
        device_nodes=tuple(DeviceNode(node, str(machine.root / node.lstrip("/"))) for node in nodes),
        mounts=tuple(mounts),
        placement=Placement(
            # Triton and others that link against the driver look for the name that compilers use.
            links=((CUDA, f"{LIBRARY_FOLDER}/libcuda.so"),),
            folders=(LIBRARY_FOLDER,),
            libraries=known,
        ),
    )


def _windows(machine: Machine) -> Edits:
    """Windows' subsystem brings libraries and the driver's own store as one folder, for all GPUs together."""
    libraries = tuple((one.soname, f"{_WSL}/lib/{one.path.name}") for one in machine.libraries)
    programs = tuple((f"{_WSL}/lib/{path.name}", f"/usr/bin/{path.name}") for path in machine.programs)
    return Edits(
        device_nodes=(DeviceNode("/dev/dxg", str(machine.root / "dev/dxg")),),
        mounts=(Mount(str(machine.root / _WSL.lstrip("/")), _WSL, _READ_ONLY),),
        placement=Placement(programs, (f"{_WSL}/lib",), libraries),
    )


def _chosen(request: GpuRequest, gpus: Sequence[Gpu]) -> Iterable[Gpu]:
    if request.everything:
        return gpus
    if request.count > len(gpus):
        raise TooFewGpusError(request.count, len(gpus))
    if not request.ids:
        return gpus[: request.count]
    by_name = {name: gpu for gpu in gpus for name in (str(gpu.index), gpu.uuid) if name}
    unknown = [one for one in request.ids if one not in by_name]
    if unknown:
        raise UnknownDeviceError(
            "GPU",
            unknown,
            hint=f"There are: {', '.join(by_name)}. Parts of GPUs (MIG) need a specification: "
            "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
        )
    return dict.fromkeys(by_name[one] for one in request.ids)


def _check_present(edits: Edits, registry: Registry) -> None:
    paths = [*(node.host_path for node in edits.device_nodes)]
    paths += [mount.host_path for mount in edits.mounts if mount.binds]
    gone = [path for path in paths if not Path(path).exists()]
    if gone:
        raise MissingFilesError((one.path for one in registry.specifications if one.kind == KIND), gone)
