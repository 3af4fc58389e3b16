"""The story: requirement lines in, one wheel for each package out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cog_nix import fetch
from cog_nix.errors import FetchError, LockError
from cog_nix.fetch import urls
from cog_nix.lock.model import Artifact, Wheel
from cog_nix.processes import redact
from cog_nix.spec import PythonResolution
from cog_nix_hooks.pypi import uv
from cog_nix_hooks.pypi.explain import explain
from cog_nix_hooks.pypi.indexes import uv_environment
from cog_nix_hooks.pypi.lines import parse
from cog_nix_hooks.pypi.pylock import read_pylock, read_requirers
from cog_nix_hooks.pypi.target import Target

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.spec import Context, PythonRequest
    from cog_nix_hooks.pypi.pylock import File, Package


def resolve(request: PythonRequest, context: Context) -> PythonResolution:
    """Find one wheel for each requirement and what it requires, sorted by name.

    Raises:
        LockError: the requirements cannot be satisfied by wheels, or the index cannot be reached.
    """
    question = _question(request, context)
    target = Target(request.python_version, request.glibc)
    try:
        with uv.scratch() as folder:
            pylock = uv.compile_pylock(question, request.pins, folder, context.reporter.log)
            packages = [package for package in read_pylock(pylock) if target.answers(package.marker)]
            requirers = _requirers(question, packages, folder)
    except uv.UvError as error:
        raise explain(
            error.stderr,
            asked_in=request.asked_in,
            python_version=request.python_version,
            exclude_newer=question.exclude_newer,
        ) from error
    wheels = [_wheel(package, target, requirers, request) for package in packages]
    return PythonResolution(tuple(sorted(wheels, key=lambda wheel: wheel.name)))


def _question(request: PythonRequest, context: Context) -> uv.Question:
    lines = parse(request.requirements, request.asked_in)
    return uv.Question(
        lines=lines,
        python_version=request.python_version,
        glibc=request.glibc,
        project_root=request.project_root,
        env=uv_environment(lines, os.environ),
        exclude_newer=context.settings.python.exclude_newer,
    )


def _requirers(question: uv.Question, packages: list[Package], folder: Path) -> dict[str, set[str]]:
    versions = {package.name: package.version for package in packages if package.version}
    return read_requirers(uv.compile_annotated(question, versions, folder))


def _wheel(package: Package, target: Target, requirers: dict[str, set[str]], request: PythonRequest) -> Wheel:
    files = {file.filename: file for file in package.wheels}
    best = target.best(list(files))
    if best is None:
        raise _no_wheel(package, request)
    requires = sorted(name for name, parents in requirers.items() if package.name in parents)
    artifact = _artifact(files[best], request.asked_in)
    return Wheel(package.name, package.version, artifact, tuple(requires))


def _artifact(file: File, asked_in: str) -> Artifact:
    """Complete what the index told: some tell neither size nor hash (PEP 503)."""
    sha256, size = file.sha256, file.size
    try:
        if sha256 and size is None:
            size = fetch.size_of(file.url)
        if sha256 is None or size is None:
            sha256, size = fetch.measure(file.url)
    except FetchError as error:
        raise LockError(f"{asked_in}: {error.message}", hint=error.hint) from error
    return Artifact(file.filename, urls.without_credentials(file.url), sha256, size)


def _no_wheel(package: Package, request: PythonRequest) -> LockError:
    what = f"{package.name} {package.version}".strip()
    if package.wheels:
        have = ", ".join(sorted(file.filename for file in package.wheels)[:5])
        return LockError(
            f"{request.asked_in}: no wheel of {what} fits Python {request.python_version} with glibc"
            f" {request.glibc} on x86_64; there are {have}",
            hint="Choose another version of it, or another python_version.",
        )
    source = f" (from {redact(package.source)})" if package.source else ""
    return LockError(
        f"{request.asked_in}: {what}{source} would have to be built from source, which cog-nix cannot do yet",
        hint="Name a release that has a wheel, or the URL of a wheel.",
    )
