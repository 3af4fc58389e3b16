"""System packages beyond those that are asked for: libraries and programs that nobody named, build tools."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.lock.dependencies import with_dependencies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.lock.model import Deb
    from cog_nix.plugins.spec import SystemFacts, SystemResolution
    from cog_nix.resolve.additions import Additions
    from cog_nix.resolve.foundation import Foundation


def essential_subset(
    base: Sequence[Deb], others: Sequence[Deb], facts: SystemFacts, named: Sequence[str] = ()
) -> tuple[tuple[Deb, ...], tuple[Deb, ...]]:
    """Return the packages of a base system that every image has, and the rest of it.

    Packages may rely on essential ones without a dependency (Debian Policy 3.8), so builds have them all,
    and so do images with system packages. An image without any needs those that what is in it depends on,
    and a few tools that people expect. See docs/design/base-system.md.

    Args:
        base: all packages of the base system.
        others: packages that are in every image beside it.
        facts: names the tools.
        named: names that the image needs, whether they are of the base system or not.
    """
    depends = {deb.package: deb.depends for deb in base}
    asked = [*facts.tools, *named, *(name for deb in others for name in deb.depends)]
    reached = with_dependencies(asked, depends, facts.only_for_scripts)
    kept = tuple(deb for deb in base if deb.package in reached)
    return kept, tuple(deb for deb in base if deb.package not in reached)


def always_there(groups: Mapping[str, Sequence[Deb]], facts: SystemFacts) -> tuple[Deb, ...]:
    """Return the packages that an image has before anything is looked for.

    Args:
        groups: as resolved: ``base``, ``python``, and ``system`` where the project asks for packages.
        facts: names the tools.
    """
    kept, essential = essential_subset(groups["base"], groups["python"], facts)
    own = groups.get("system", ())
    return (*kept, *groups["python"], *own, *(essential if own else ()))


def extend(found: Foundation, added: Additions, build_tools: Sequence[str]) -> SystemResolution:
    """Return the system with packages that nobody named (``libraries``) and those of builds (``build``)."""
    more = (("libraries", added.packages), ("build", tuple(build_tools)))
    groups = tuple(group for group in more if group[1])
    return _resolve(found, groups, added.asked_in) if groups else found.system


def add_linked(found: Foundation, added: Additions, linked: Additions) -> tuple[Deb, ...]:
    """Return the packages that results link to, beyond those of the rest of the image."""
    if not linked.reasons:
        return ()
    groups = (("libraries", added.packages), ("linked", linked.packages))
    return tuple(_resolve(found, groups, {**linked.asked_in, **added.asked_in}).groups["linked"])


def what_fits(found: Foundation, added: Additions, more: Additions) -> Additions:
    """Return what can be added without moving what is there; warn of the rest.

    Args:
        found: what is there.
        added: packages that are added anyway.
        more: the others.
    """
    pending = more.without(added.packages)
    if not pending.reasons or _fits(found, (*added.packages, *pending.packages)):
        return more
    taken, left_out = list(added.packages), []
    for reason in sorted(pending.reasons, key=lambda one: one.package):
        if _fits(found, (*taken, reason.package)):
            taken.append(reason.package)
            continue
        left_out.append(reason.package)
        found.tools.reporter.warn(
            f"{reason.told}, and its package {reason.package} conflicts with the others: left out."
        )
    return more.without(left_out)


def _fits(found: Foundation, packages: tuple[str, ...]) -> bool:
    """Tell whether packages can be added, and everything that is there stays as it is."""
    try:
        other = _resolve(found, (("libraries", packages),), {})
    except LockError:
        return False
    return all(other.groups[label] == debs for label, debs in found.system.groups.items())


def _resolve(
    found: Foundation, groups: tuple[tuple[str, tuple[str, ...]], ...], asked_in: Mapping[str, str]
) -> SystemResolution:
    request = found.system_request
    request = replace(request, groups=(*request.groups, *groups), asked_in={**asked_in, **request.asked_in})
    return found.tools.plugins.resolve_system_packages(request, found.tools.context)
