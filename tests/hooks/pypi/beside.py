"""Additions to the requirements of a model: those that CUDA's libraries ask for, and worse ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from cog_nix.config.model import Build, Config, Settings
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.plugins.spec import Context, FoundRequirement, LibraryNeed, PythonLibraryRequest, PythonRequest
from cog_nix.report import SilentReporter
from cog_nix.resolve import python_libraries
from cog_nix_hooks import pypi
from cog_nix_hooks.nvidia import libraries
from tests.reporters import Warnings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cog_nix.lock.model import Wheel
    from cog_nix.plugins.spec import PythonResolution

    from .corpus import Index, Project

LOADED = {
    "bitsandbytes": ("libcublas.so.11", "libcublasLt.so.12", "libcudart.so.12", "libcudart.so.13"),
    "ctranslate2": ("libcublas.so.12", "libcudnn.so.9"),
    "decord": ("libcudart.so.11.0", "libnvrtc.so.11.2"),
    "onnxruntime-gpu": ("libcublas.so.12", "libcudart.so.12", "libcudnn.so.9", "libcufft.so.11"),
    "tensorrt": ("libcudart.so.12",),
    "triton": ("libcupti.so.12",),
    "xformers": ("libcudart.so.12",),
}
"""Libraries that wheels link to or name, whatever they are released for: more than any of them lacks."""

HOSTILE = (
    "torch<2.1",
    "cuda-toolkit[cublas,cudart,cupti]==12.*",
    "cuda-toolkit[cublas,cudart,cupti]==13.*",
    "diffusers[nvidia-modelopt]",
)
"""What a plugin must not get its way with, where it would move anything."""


@dataclass
class Tried:
    """A project without additions and with them."""

    own: PythonResolution
    extended: PythonResolution
    offered: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def question(project: Project, url: str, root: Path) -> PythonRequest:
    """Return what a lock asks of the resolver."""
    return PythonRequest(
        python_version=f"{project.python}.9",
        requirements=(f"--index-url {url}", *project.lines, "pip"),
        glibc=project.glibc,
        project_root=root,
        gpu=project.gpu,
    )


def resolve(request: PythonRequest) -> PythonResolution:
    """Resolve, as the lock does."""
    reporter, root = SilentReporter(), request.project_root
    context = Context(Settings(), CachingFetcher(root, reporter), reporter, root)
    return pypi.resolve_python_packages(request, context)


def real(
    project: Project, index: Index, wheels: Sequence[Wheel], *, loaded: bool
) -> Sequence[FoundRequirement]:
    """Name what NVIDIA's plugin names for these wheels, by their metadata and, if asked, what they load."""
    present = {wheel.name for wheel in wheels if loaded}
    named = [
        LibraryNeed(name, f"{name}/_c.so", soname)
        for name, sonames in LOADED.items()
        if name in present
        for soname in sonames
    ]
    texts = {wheel.name: index.metadata(wheel.artifact.filename) or "" for wheel in wheels}
    request = PythonLibraryRequest(
        Config(build=Build(gpu=project.gpu)),
        tuple(wheels),
        (),
        tuple(named),
        {name: frozenset(sonames) for name, sonames in LOADED.items()},
        {
            name: tuple(
                line.removeprefix("Requires-Dist: ")
                for line in text.splitlines()
                if line.startswith("Requires-Dist")
            )
            for name, text in texts.items()
        },
    )
    return libraries.find(request)


def attempt(project: Project, index: Index, url: str, root: Path, *, hostile: bool = False) -> Tried:
    """Resolve a project without additions and with them.

    Raises:
        LockError: it cannot be resolved at all.
    """
    request = question(project, url, root)
    own = resolve(request)
    reporter, offered = Warnings(), list[str]()

    def look(wheels: Sequence[Wheel]) -> Sequence[FoundRequirement]:
        found = [*real(project, index, wheels, loaded=not offered)]
        if hostile:
            found += [FoundRequirement(line, f"somebody wants {line}") for line in HOSTILE]
        offered.extend(one.requirement for one in found if one.requirement not in offered)
        return found

    plugins = SimpleNamespace(resolve_python_packages=lambda request, _: resolve(request))
    tools = SimpleNamespace(plugins=plugins, context=None, reporter=reporter)
    search: Any = SimpleNamespace(tools=tools, python_packages=look)
    extended, _ = python_libraries.extend(request, own, search)
    return Tried(own, extended, offered, reporter.warnings)
