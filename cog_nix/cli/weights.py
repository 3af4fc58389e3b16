"""``cog-nix weights``: import managed weights, pull them, and tell how they stand.

stdout gets the table or the JSON of ``status``; narration goes to stderr, in upstream's words.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cog_nix.cli.options import ProjectOptions
from cog_nix.config import load_config
from cog_nix.errors import ConfigError, FlagError
from cog_nix.managed import importing, pulling
from cog_nix.managed.planning import plan
from cog_nix.managed.publishing import publish
from cog_nix.managed.source import Surroundings
from cog_nix.managed.status import statuses
from cog_nix.project.find import find_project
from cog_nix.registry import credentials
from cog_nix.registry.client import Repository
from cog_nix.registry.destination import resolve
from cog_nix.weights import lock as weights_lock
from cog_nix.weights import manifest
from cog_nix.weights.store import default_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.cli.session import Session
    from cog_nix.config.model import Config, Project, Weight
    from cog_nix.managed.planning import Plan
    from cog_nix.managed.status import WeightStatus
    from cog_nix.registry.failures import Purpose
    from cog_nix.report import Reporter
    from cog_nix.weights.model import WeightsLock

_SIGNS = {"new": "+", "unchanged": "=", "config-changed": "~", "upstream-changed": "~"}
_DIGITS = 12
_UNIT = 1024


class Action(StrEnum):
    """What to do."""

    do_import = "import"
    pull = "pull"
    status = "status"


class UnknownWeightError(ConfigError):
    """A weight is named that the configuration does not have.

    Args:
        name: the weight.
        file: the configuration.
        known: the names that it has.
    """

    def __init__(self, name: str, file: str, known: tuple[str, ...]) -> None:
        super().__init__(hint=f"It has {', '.join(known)}.")
        self.name, self.file, self.known = name, file, known

    def __str__(self) -> str:
        return f'weight "{self.name}" not found in {self.file}'


class NoWeightsError(ConfigError):
    """A project has no managed weights."""

    def __init__(self, file: str) -> None:
        super().__init__(hint="Managed weights stand under `weights:`.")
        self.file = file

    def __str__(self) -> str:
        return f"no weights defined in {self.file}"


class UnreadyWeightsError(ConfigError):
    """The registry does not have all weights as cog.yaml has them."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(hint="Run `cog-nix weights import`.")
        self.names = names

    def __str__(self) -> str:
        return f"not all weights are ready: {', '.join(self.names)}"


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    action: Annotated[Action, typer.Argument(show_default=False, help="import, pull or status.")]
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Weights; none: all.")] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Of import: say what would be done, and do nothing.")
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="Of status: print JSON.")] = False


@dataclass(frozen=True)
class _Work:
    """What the three have in common."""

    session: Session
    project: Project
    config: Config
    around: Surroundings
    names: tuple[str, ...]

    @property
    def reporter(self) -> Reporter:
        return self.session.reporter

    def repository(self, purpose: Purpose) -> Repository:
        """Return the model's repository, not connected yet."""
        destination = resolve(self.config, None, os.environ)
        registry = destination.image.registry
        known = credentials.of_registry(registry)
        return Repository(destination.image, known, (), self.around.policy, self.around.cancelled, purpose)

    def lock(self) -> WeightsLock:
        """Return the lock; an empty one where there is none."""
        return weights_lock.read_or_empty(self.project.root)

    def chosen(self) -> list[Weight]:
        """Return the weights of cog.yaml that are named, all of them for none.

        Raises:
            ConfigError: there is no such weight.
        """
        known = {weight.name: weight for weight in self.config.weights}
        for name in self.names:
            if name not in known:
                raise UnknownWeightError(name, self.project.config_path.name, tuple(known))
        return [weight for weight in self.config.weights if not self.names or weight.name in self.names]


def weights(session: Session, options: _Options) -> None:
    """Import, pull, or tell how weights stand; ``status`` exits with 1 unless all are ready.

    Raises:
        ConfigError: cog.yaml has no weights, or no such weight.
        CogNixError: a source, the registry or the store fails.
    """
    _check_meaning(options)
    project = find_project(Path.cwd(), options.config_file)
    config = load_config(project)
    if not config.weights:
        raise NoWeightsError(project.config_path.name)
    around = Surroundings(default_store(), session.reporter, os.environ)
    work = _Work(session, project, config, around, tuple(options.names or ()))
    if options.action is Action.do_import:
        _import(work, dry_run=options.dry_run)
    elif options.action is Action.pull:
        _pull(work)
    else:
        _status(work, as_json=options.as_json)


def _check_meaning(options: _Options) -> None:
    """Refuse what means nothing to the action.

    Raises:
        ConfigError: there is such an option.
    """
    for flag, given, action in (
        ("--dry-run", options.dry_run, Action.do_import),
        ("--json", options.as_json, Action.status),
    ):
        if given and options.action is not action:
            raise FlagError(flag, f"is an option of `weights {action}`", hint=f"Leave out {flag}.")
    if options.action is Action.status and options.names:
        raise FlagError("weights status", "takes no names", options.names[0], hint="It tells of all weights.")


def _import(work: _Work, *, dry_run: bool) -> None:
    lock = work.lock()
    repository = work.repository("push")  # what is wrong with its name is told before anything is fetched
    plans = [plan(weight, lock, work.project.root, work.around) for weight in work.chosen()]
    for one in plans:
        _tell(one, work.reporter)
    if dry_run:
        return
    imported = []
    for one in plans:
        measured = importing.bring(one, work.around)
        imported.append(importing.record(one, lock.find(one.weight.name), measured, work.around))
        # One after the other: what is imported is recorded, whatever becomes of the next.
        lock = importing.write(work.project.root, lock, imported, work.config.weights)
    name = repository.reference.name
    work.reporter.info(f"Pushing {len(imported)} weight(s) to {name}...")
    total = 0
    with repository:
        for weight in imported:
            pushed, sent = publish(repository, weight, work.around)
            lock = importing.write(work.project.root, lock, [pushed], work.config.weights)
            total += pushed.blob_size
            uploaded = f"{size_text(sent)} uploaded" if sent else "it was there"
            work.reporter.info(f"  {pushed.name}: {name}:{manifest.tag(pushed)} ({uploaded})")
    work.reporter.info(f"\nImported {len(imported)} weight artifact(s) to {name}\nTotal: {size_text(total)}")


def _tell(plan: Plan, reporter: Reporter) -> None:
    """Say what an import would do."""
    sign, target = _SIGNS[plan.status], plan.weight.target
    if len(plan.sources) == 1:
        lines = [f"{sign} {plan.weight.name}  {plan.sources[0].uri} → {target}"]
    else:
        lines = [f"{sign} {plan.weight.name}  → {target}"]
        lines += [f"  source[{number}]: {one.uri}" for number, one in enumerate(plan.sources)]
    lines.append(f"  status: {plan.status}")
    lines += [f"  changed: {change}" for change in plan.changes]
    lines.append(f"  files: {len(plan.files)}  size: {size_text(plan.size)}")
    reporter.info("\n".join(lines))
    for what, mark, files in (("excluded", "-", plan.excluded), ("included", "+", plan.files)):
        if files:
            reporter.log(f"  {what} ({len(files)} files):")
        for file in files:
            reporter.log(f"    {mark} {file.path} ({size_text(file.size)})")
    reporter.info("")


def _pull(work: _Work) -> None:
    known = weights_lock.of_config(work.project.root, work.config)
    wanted = {weight.name for weight in work.chosen()}
    reporter = work.reporter
    reporter.log(f"Cache: {work.around.store.root}")
    done: list[pulling.PulledWeight] = []
    left = []
    for weight in (one for one in known if one.name in wanted):
        if missing := pulling.missing_files(weight, work.around):
            left.append(weight)
            reporter.info(f"Pulling {weight.name}... ({len(missing)} file(s))")
        else:
            reporter.info(f"Pulling {weight.name}... cached ({len(weight.files)}/{len(weight.files)} files)")
    if not left:
        reporter.info(f"All {len(wanted)} weight(s) already cached.")
        return
    with work.repository("pull") as repository:
        for weight in left:
            done.append(pulling.pull(repository, weight, work.around))
            for file in weight.files:
                reporter.log(f"    {file.path} ({size_text(file.size)}) {short(file.digest)}")
    size, files, layers = (sum(getattr(one, key) for one in done) for key in ("size", "files", "layers"))
    reporter.info(
        f"Pulled {size_text(size)} across {files} file(s) / {layers} layer(s) for {len(done)} weight(s); "
        f"{len(wanted) - len(done)} already cached."
    )


def _status(work: _Work, *, as_json: bool) -> None:
    with ExitStack() as stack:
        found = list(statuses(work.config, work.lock(), lambda: _connected(work, stack), work.around))
    if as_json:
        typer.echo(json.dumps({"weights": [document(one) for one in found]}, indent=2, ensure_ascii=False))
    else:
        typer.echo(table(found, layers=work.session.reporter.verbose))
    if unready := tuple(one.name for one in found if one.state != "ready"):
        raise UnreadyWeightsError(unready)


def _connected(work: _Work, stack: ExitStack) -> Repository:
    return stack.enter_context(work.repository("pull"))


def document(status: WeightStatus) -> dict[str, Any]:
    """Return what the JSON of ``status`` says of a weight; as upstream, without what is empty."""
    found: dict[str, Any] = {"name": status.name, "target": status.target, "status": status.state}
    locked = status.locked
    if locked is None:
        return found
    sizes = {
        "size": locked.size,
        "sizeCompressed": locked.blob_size,
        "layerCount": len(locked.layers),
        "fileCount": len(locked.files),
        "digest": locked.digest,
    }
    found |= {key: value for key, value in sizes.items() if value}
    if locked.sources:
        first, *more = locked.sources
        uri = f"{first.uri} (+{len(more)} more)" if more else first.uri
        found["source"] = {"uri": uri, "fingerprint": first.fingerprint}
    if status.lacking is not None and locked.layers:
        found["layers"] = [
            {
                "digest": layer.digest,
                "size": layer.size,
                "status": "missing" if layer.digest in status.lacking else "ready",
            }
            for layer in locked.layers
        ]
    return found


def table(found: Sequence[WeightStatus], *, layers: bool) -> str:
    """Return how weights stand in upstream's columns.

    Args:
        found: the weights.
        layers: whether each layer gets a line.
    """
    rows = [("NAME", "TARGET", "STATUS", "SIZE", "LAYERS", "DIGEST")]
    for status in found:
        locked = status.locked
        size = size_text(locked.size) if locked and locked.size else "-"
        count = str(len(locked.layers)) if locked and locked.layers else "-"
        digest = short(locked.digest) if locked and locked.digest else "-"
        rows.append((status.name, status.target, status.state, size, count, digest))
        if layers and locked and status.lacking is not None:
            for number, layer in enumerate(locked.layers, start=1):
                branch = "  └─" if number == len(locked.layers) else "  ├─"
                state = "missing" if layer.digest in status.lacking else "ready"
                rows.append((branch, "", state, size_text(layer.size), "", short(layer.digest)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def size_text(size: int) -> str:
    """Return a number of bytes as upstream writes it here: in powers of 1024, without a space."""
    for power, unit in ((3, "GB"), (2, "MB"), (1, "KB")):
        if size >= _UNIT**power:
            return f"{size / _UNIT**power:.1f}{unit}"
    return f"{size}B"


def short(digest: str) -> str:
    """Return the beginning of a digest."""
    algorithm, _, digits = digest.partition(":")
    return f"{algorithm}:{digits[:_DIGITS]}"
