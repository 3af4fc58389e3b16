"""Everything that was resolved, put together: which package is where in the image, and why it is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cog_nix.lock import core, layers
from cog_nix.lock.model import Lock
from cog_nix.lock.seals import PACKAGE
from cog_nix.plugins.manager import Plugins, ask
from cog_nix.resolve import duplicates, inputs
from cog_nix.resolve.libraries import depths, is_self_contained
from cog_nix.resolve.wheel_facts import WheelFacts, seals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.config.model import Config, Settings
    from cog_nix.lock.model import Deb, Interpreter, NixPackage, Run, Seed, Toolkit
    from cog_nix.plugins.spec import Context, InterpreterChoice, PythonResolution, SystemResolution
    from cog_nix.resolve.libraries import Answer


@dataclass(frozen=True)
class Parts:
    """What was resolved."""

    project: Path
    """Its folder."""
    packages: tuple[NixPackage, ...]
    names: tuple[str, ...]
    """System packages that were asked for."""
    choice: InterpreterChoice
    interpreter: Interpreter
    suite: str
    system: SystemResolution
    """In the groups ``base``, ``python``, ``system``, ``libraries`` and ``build``."""
    python: PythonResolution
    toolkit: Toolkit | None
    commands: int
    """How many there are."""
    runs: tuple[Run, ...]
    """Their results so far; whether these still fit is asked of the whole lock."""
    answers: tuple[Answer, Answer, Answer]
    """What nobody asked for: Python packages with libraries; system packages that wheels or the project, and
    those that results of commands and source builds link to."""
    linked: tuple[Deb, ...]
    """The last of these, resolved."""
    seed: Seed
    programs: tuple[str, ...] | None
    """Names of those that the source starts; None: it was not looked into."""


def assemble(parts: Parts, config: Config, settings: Settings, plugins: Plugins, context: Context) -> Lock:
    """Return the lock.

    Args:
        parts: what it is made of.
        config: what it answers.
        settings: the same.
        plugins: may add to the image's environment and labels.
        context: for what is looked into.

    Raises:
        LockError: a wheel cannot be read.
    """
    groups = parts.system.groups
    python, own, libraries = groups["python"], groups.get("system", ()), groups.get("libraries", ())
    _, added, linked = parts.answers
    needed = (*added.packages, *linked.packages, *parts.choice.packages)
    base, essential = core.divide(groups["base"], python, needed)
    wheels = parts.python.wheels
    lock = Lock(
        inputs=inputs.digest(config, settings, parts.project),
        suite=parts.suite,
        indexes=tuple(parts.system.indexes),
        seed=parts.seed,
        interpreter=parts.interpreter,
        base=base,
        essential=essential,
        python=tuple(python),
        system=tuple(own),
        wheels=tuple(wheels),
        libraries=tuple(libraries),
        linked=parts.linked,
        cog_base=bool(settings.debian.cog_base),
        build=tuple(groups.get("build", ())),
        programs=parts.programs,
        runs=parts.runs,
        packages=parts.packages,
        reasons=_reasons(parts),
        layers=layers.plan(
            base=base,
            essential=essential,
            python=python,
            system=(*own, *libraries),
            wheels=wheels,
            commands=parts.commands,
            linked=parts.linked,
            unpacked=parts.interpreter.artifact is not None,
            linker=any(is_self_contained(wheel.name) for wheel in wheels),
            settings=settings.layers,
        ),
        toolkit=parts.toolkit,
    )
    lock = _with_links(lock, WheelFacts(context), gpu=config.build.gpu)
    lock = replace(lock, facts=(*lock.facts, *_of_packages(lock, parts)))
    return _with_additions(lock, config, plugins)


def _reasons(parts: Parts) -> tuple[tuple[str, str], ...]:
    """Return why packages are there that nobody named, or by another name, by package."""
    renamed = [name for name in parts.names if name in parts.system.renamed]
    reasons = {parts.system.renamed[name]: f"{name} is asked for" for name in reversed(renamed)}
    reasons |= parts.python.reasons
    for answer in parts.answers:
        reasons |= dict(answer.reasons)
    return tuple(sorted(reasons.items()))


def _with_links(lock: Lock, read: WheelFacts, *, gpu: bool) -> Lock:
    """Return the lock with links in place of what wheels have twice, and with what it went by."""
    read.learn(lock.wheels, depths(lock.wheels, gpu=gpu))
    links = duplicates.find(lock.wheels, read, layers.wheels_of(lock.layers))
    facts = seals(lock.wheels, read, gpu=gpu)
    return replace(
        lock, links=links, facts=facts, layers=layers.with_links(lock.layers, [name for name, _ in links])
    )


def _of_packages(lock: Lock, parts: Parts) -> Iterator[tuple[str, str]]:
    """Yield by what packages the lock was made that were looked into."""
    looked = {package: seal for answer in parts.answers for package, seal in answer.seals}
    for deb in lock.installed:
        if deb.package in looked:
            yield f"{PACKAGE}{deb.package}", looked.pop(deb.package)


def _with_additions(lock: Lock, config: Config, plugins: Plugins) -> Lock:
    """Return the lock with what plugins add to the image's environment and labels."""
    environment: dict[str, str] = {}
    labels: dict[str, str] = {}
    for added in ask(plugins, "image_environment", config=config, lock=lock):
        environment.update(added)
    for added in ask(plugins, "image_labels", config=config, lock=lock):
        labels.update(added)
    return replace(lock, environment=tuple(sorted(environment.items())), labels=tuple(sorted(labels.items())))
