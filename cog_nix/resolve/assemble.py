"""Everything that was resolved, put together: which package is where in the image, and why it is there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cog_nix.lock import layers
from cog_nix.lock.model import Lock
from cog_nix.lock.reasons import Reason, Verb, parse
from cog_nix.lock.seals import PACKAGE
from cog_nix.resolve import duplicates
from cog_nix.resolve.additions import Additions
from cog_nix.resolve.needs import depths
from cog_nix.resolve.system import essential_subset
from cog_nix.resolve.wheel_facts import WheelFacts, seals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.config.model import Config
    from cog_nix.lock.model import Deb, NixPackage, Seed, Toolkit
    from cog_nix.plugins.manager import Plugins
    from cog_nix.plugins.spec import GpuLibraries, PythonResolution, SystemResolution
    from cog_nix.resolve.foundation import Foundation
    from cog_nix.resolve.request import Request, Tools


@dataclass(frozen=True)
class Parts:
    """What was resolved."""

    request: Request
    found: Foundation
    packages: tuple[NixPackage, ...]
    system: SystemResolution
    """In the groups ``base``, ``python``, ``system``, ``libraries`` and ``build``."""
    python: PythonResolution
    toolkit: Toolkit | None
    seeds: tuple[Seed, ...]
    """This machine's first."""
    programs: tuple[str, ...] | None
    """Names of those that the source starts; None: it was not looked into."""
    python_additions: Additions
    """Python packages that nobody named."""
    additions: Additions
    """System packages that nobody named, for wheels and the project."""
    linked: Additions = field(default_factory=Additions)
    """The same for results of commands and source builds."""
    linked_debs: tuple[Deb, ...] = ()

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why packages are there that nobody named, or by another name, by package."""
        names = self.system.renamed
        asked = dict(self.found.system_request.groups)["system"]
        found = {
            names[name]: Reason(names[name], Verb.ASKED, name) for name in reversed(asked) if name in names
        }
        found |= {name: parse(name, sentence) for name, sentence in self.python.reasons.items()}
        for more in (self.python_additions, self.additions, self.linked):
            found |= {reason.package: reason for reason in more.reasons}
        return tuple(found[package] for package in sorted(found))


def assemble(parts: Parts, tools: Tools) -> Lock:
    """Return the lock, but for results of commands.

    Args:
        parts: what it is made of.
        tools: plugins may add to the image's environment and labels.

    Raises:
        LockError: a wheel cannot be read.
    """
    request, found, groups = parts.request, parts.found, parts.system.groups
    gpu_libraries = tools.plugins.describe_gpu_libraries()
    needed = (*parts.additions.packages, *parts.linked.packages, *found.choice.packages)
    base, essential = essential_subset(
        groups["base"], groups["python"], tools.plugins.describe_system(), needed
    )
    lock = Lock(
        inputs=request.digest,
        suite=found.suite,
        indexes=tuple(parts.system.indexes),
        seed=parts.seeds[0],
        seeds=parts.seeds[1:],
        interpreter=found.interpreter,
        base=base,
        essential=essential,
        python=tuple(groups["python"]),
        system=tuple(groups.get("system", ())),
        wheels=tuple(parts.python.wheels),
        libraries=tuple(groups.get("libraries", ())),
        linked=parts.linked_debs,
        cog_base=bool(request.settings.system.cog_base),
        build=tuple(groups.get("build", ())),
        programs=parts.programs,
        packages=parts.packages,
        platform="" if request.project.platform.is_usual else request.project.platform.name,
        reasons=parts.reasons,
        toolkit=parts.toolkit,
    )
    plan = layers.plan(
        lock,
        request.settings.layers,
        commands=request.commands,
        linker=any(gpu_libraries.include(wheel.name) for wheel in lock.wheels),
        goes_with_gpus=gpu_libraries.go_with,
    )
    lock = replace(lock, layers=plan)
    lock = _with_links(lock, WheelFacts(tools.context), gpu_libraries, gpu=request.config.build.gpu)
    lock = replace(lock, facts=(*lock.facts, *_of_packages(lock, parts)))
    return _with_plugins(lock, request.config, tools.plugins)


def _with_links(lock: Lock, read: WheelFacts, own: GpuLibraries, *, gpu: bool) -> Lock:
    """Return the lock with links in place of what wheels have twice, and with what it went by."""
    read.learn(lock.wheels, depths(lock.wheels, own, gpu=gpu))
    links = duplicates.find(lock.wheels, read, own, layers.wheels_of(lock.layers))
    facts = seals(lock.wheels, read, own, gpu=gpu)
    return replace(
        lock, links=links, facts=facts, layers=layers.with_links(lock.layers, [name for name, _ in links])
    )


def _of_packages(lock: Lock, parts: Parts) -> Iterator[tuple[str, str]]:
    """Yield by what packages the lock was made that were looked into."""
    looked = dict((*parts.additions.seals, *parts.linked.seals))
    for deb in lock.installed:
        if deb.package in looked:
            yield f"{PACKAGE}{deb.package}", looked.pop(deb.package)


def _with_plugins(lock: Lock, config: Config, plugins: Plugins) -> Lock:
    """Return the lock with what plugins add to the image's environment and labels."""
    environment: dict[str, str] = {}
    labels: dict[str, str] = {}
    for added in plugins.image_environment(config, lock):
        environment.update(added)
    for added in plugins.image_labels(config, lock):
        labels.update(added)
    return replace(lock, environment=tuple(sorted(environment.items())), labels=tuple(sorted(labels.items())))
