"""The story of resolving: open the suite, turn names into clauses, solve, write down what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from cog_nix.lock.model import Artifact, Deb
from cog_nix.plugins.spec import SystemResolution

from .archive import open_suite
from .base import BASE_GROUP, BUILD_GROUP, BUILD_PACKAGES, base_packages
from .errors import BrokenIndexError, ConflictError, MissingPackageError
from .explain import explain
from .names import Names
from .relations import RelationError, upstream_version
from .solver import DeadEndError, Solver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.plugins.spec import Context, SystemRequest

    from .packages import Catalogue, Package
    from .relations import Clause


def resolve(request: SystemRequest, context: Context) -> SystemResolution:
    """Find the packages of every group, dependencies included.

    The group ``base`` with no names stands for the minimal userland; ``build`` has compilers and tools beside
    its names (see :mod:`cog_nix_hooks.debian.base`).

    Raises:
        LockError: a name is unknown or the set cannot be satisfied.
        FetchError: the archive cannot be read.
    """
    if request.alone:
        return _alone(request, context)
    with open_suite(request.suite, context, component=request.component) as suite:
        names = Names(suite.catalogue, request.asked_in, context.reporter)
        wanted = [
            names.clauses(_names(label, packages, suite.catalogue)) for label, packages in request.groups
        ]
        names.check()
        added = _solve(request, wanted, suite.catalogue, names)
        solver = Solver(suite.catalogue, {})
        everything = {name: package for group in added for name, package in group.items()}
        groups = {
            label: tuple(
                as_locked(package, _pulled_in(package, everything, solver)) for package in group.values()
            )
            for (label, _), group in zip(request.groups, added, strict=True)
        }
        taken = {
            names.written(clause): _met(clause, everything, solver).name
            for group in wanted
            for clause in group
        }
    renamed = {written: package for written, package in taken.items() if written != package}
    versions = {deb.package: upstream_version(deb.version) for debs in groups.values() for deb in debs}
    return SystemResolution(groups, suite.indexes, renamed, versions)


def _alone(request: SystemRequest, context: Context) -> SystemResolution:
    """Find packages by name, each the version that is pinned or else the highest."""
    with open_suite(request.suite, context, component=request.component) as suite:
        groups = {
            label: tuple(_one(name, request, suite.catalogue) for name in names)
            for label, names in request.groups
        }
    return SystemResolution(groups, suite.indexes)


def _one(name: str, request: SystemRequest, catalogue: Catalogue) -> Deb:
    versions = catalogue.named(name)
    if not versions:
        raise MissingPackageError(request.suite, name, request.component)
    pinned = (one for one in versions if one.version == request.pins.get(name))
    return as_locked(next(pinned, versions[0]))


def _solve(
    request: SystemRequest,
    wanted: Sequence[Sequence[Clause]],
    catalogue: Catalogue,
    names: Names,
) -> list[dict[str, Package]]:
    try:
        return Solver(catalogue, request.pins).solve(wanted)
    except DeadEndError as error:
        raise ConflictError(error, explain(error, catalogue, names.place)) from error
    except RelationError as error:
        raise BrokenIndexError(f"The index of Debian {request.suite}", f"is broken: {error}") from error


def _names(label: str, packages: tuple[str, ...], catalogue: Catalogue) -> tuple[str, ...]:
    """Return what a group asks for, with what its label stands for."""
    if label == BASE_GROUP and not packages:
        return base_packages(catalogue)
    if label == BUILD_GROUP:
        return (*BUILD_PACKAGES, *packages)
    return packages


def as_locked(package: Package, depends: tuple[str, ...] = ()) -> Deb:
    """Return a package of an index as the lock names it.

    Args:
        package: of the index.
        depends: names of the packages that meet its dependencies.
    """
    return Deb(
        package.name,
        package.version,
        package.architecture,
        Artifact(
            filename=package.filename.rpartition("/")[2],
            # Policy 5.6.12 allows + and ~ in versions; servers know them unquoted.
            url=f"{package.uri}/{quote(package.filename, safe='/+~:=,@!')}",
            sha256=package.sha256,
            size=package.size,
        ),
        depends,
    )


def _pulled_in(package: Package, everything: Mapping[str, Package], solver: Solver) -> tuple[str, ...]:
    """Return the names that meet a package's clauses within the set, one a clause."""
    names = {_met(clause, everything, solver).name for clause in package.depends}
    return tuple(sorted(names - {package.name}))


def _met(clause: Clause, everything: Mapping[str, Package], solver: Solver) -> Package:
    """Return the package of a set that meets a clause."""
    return next(option for option in solver.options(clause) if everything.get(option.name) == option)
