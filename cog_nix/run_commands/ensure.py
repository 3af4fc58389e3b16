"""The results that a build goes by: those that the lock records, or new ones where there are none."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from cog_nix import config as cog_config
from cog_nix.config import commands
from cog_nix.errors import ConfigError, LockError, NixError, StaleLockError
from cog_nix.lock import format as lock_format
from cog_nix.lock.model import Run
from cog_nix.lock.run_keys import keys
from cog_nix.programs.missing import advice, missing_program
from cog_nix.run_commands import difference
from cog_nix.store import failures
from cog_nix.store.library import nix_library, package_folder
from cog_nix.store.paths import tree_path
from cog_nix.system import platforms, scratch
from cog_nix.system.processes import SHOWN_LINES
from cog_nix.system.state import recall, remember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.config.commands import Instruction
    from cog_nix.config.model import Config, Project
    from cog_nix.lock.model import Lock
    from cog_nix.report import Reporter
    from cog_nix.run_commands.causes import Unsteady
    from cog_nix.run_commands.execute import Outcome
    from cog_nix.run_commands.secrets import Secret
    from cog_nix.store.nix import Nix

T = TypeVar("T")

STORE_NAME = "run"
"""Name of every result in the store; the same as in ``nix/layers/runs.nix``."""

_GIVE = "Hand it over with:  cog-nix build --secret id={},src=FILE"
_ACCEPT = "To run it again, and what comes after it, and record the new results:  cog-nix build --update-lock"
_PIN = """\
Make it give the same each time (name a commit, a version, a file that does not change), or accept what it
gives now, and run what comes after it again:  cog-nix build --update-lock"""


class CommandFailedError(NixError):
    """A command failed, or its builder could not run it.

    Args:
        where: it stands, ``cog.yaml:7``.
        command: its text.
        status: its exit status; None: the builder failed.
        reason: why the builder failed.
        printed: the last lines that it printed.
        hint: what to do next.
    """

    def __init__(
        self,
        where: str,
        command: str,
        status: int | None,
        reason: Sequence[str],
        printed: Sequence[str],
        *,
        hint: str,
    ) -> None:
        super().__init__(hint=hint)
        self.where, self.command, self.status = where, command, status
        self.reason, self.printed = "".join(reason), tuple(printed)

    def __str__(self) -> str:
        what = self.reason if self.status is None else f"this command ended with exit status {self.status}"
        printed = ["The last it printed:", *(f"  {line}" for line in self.printed)]
        lines = [f"{self.where}: {what}:", f"  {self.command}"]
        return "\n".join([*lines, *(printed if self.printed else ["It printed nothing."])])


@dataclass(frozen=True)
class RunOptions:
    """What the user decides about commands."""

    secrets: Mapping[str, Secret] = field(default_factory=dict)
    again: bool = False
    """Run every command, also where its result is there."""
    accept: bool = False
    """Record results that are not what was recorded."""
    tried: Callable[[Unsteady], None] | None = None
    """Run each command once more, and tell this of what that leaves otherwise; what is recorded stays."""


def asked_at(project: Project, config: Config, number: int) -> str:
    """Return where the command of a number stands, as ``cog.yaml:7``."""
    document = cog_config.load(project).document
    own = len(config.build.run)
    place = ("run", number) if number < own else ("pre_install", number - own)
    return f"{project.config_path.name}:{document.line('build', *place)}"


def check(project: Project, config: Config) -> list[Instruction]:
    """Read all commands.

    Args:
        project: where they stand.
        config: names them.

    Raises:
        ConfigError: one of them asks for what cog-nix cannot do.
    """
    read = []
    for number, text in enumerate(commands.texts(config.build)):
        try:
            read.append(commands.parse(text))
        except ConfigError as error:
            where = asked_at(project, config, number)
            raise ConfigError(f"{where}: {error.message}", hint=error.hint) from error
    return read


def ensure_runs(
    project: Project,
    config: Config,
    lock: Lock,
    *,
    nix: Nix,
    options: RunOptions,
    reporter: Reporter,
    package_of: Callable[[str], str] = lambda _: "",
) -> Lock:
    """Return the lock with a result of every command, each of them in the store.

    A result is recorded as soon as its command has ended, so that a build which was cut off carries on.

    Args:
        project: whose commands.
        config: names them.
        lock: what they run on; all that it names is in the store.
        nix: the store.
        options: what may happen.
        reporter: shows what commands print.
        package_of: returns the system package that has a program; "" where it knows none.

    Raises:
        StaleLockError: what a command runs on has changed since its result was recorded.
        LockError: a command gave another result than the one that was recorded.
        NixError: a command failed.
    """
    instructions = check(project, config)
    if not instructions:
        return replace(lock, runs=())
    work = _Work(project, config, lock, nix=nix, options=options, reporter=reporter)
    work.package_of = package_of
    held = work.held()
    results: list[str] = []
    for number, (_, key) in enumerate(keys(lock, config, results)):
        instruction = instructions[number]
        recorded = work.lock.runs[number] if number < len(work.lock.runs) else None
        enforced = recorded is not None and recorded.key == key
        if recorded and not enforced and not options.accept:
            where = asked_at(project, config, number)
            what = "what this command runs on has changed since its result was recorded"
            raise StaleLockError(f"{where}: {what}:\n  {instruction.text}", hint=_ACCEPT)
        if recorded and enforced and recorded.nar_sha256 in held and not options.again:
            results.append(recorded.nar_sha256)
            work.try_again(number, instruction)
            continue
        reporter.step(f"Running {number + 1} of {len(instructions)}: {instruction.command}")
        where = asked_at(project, config, number)
        results.append(work.perform(number, instruction, key, enforced=enforced, where=where))
        work.try_again(number, instruction)
    work.forget_beyond(len(results))
    work.remember()
    return work.lock


class _Work:
    """Runs commands one after the other and keeps the lock up to date."""

    def __init__(
        self,
        project: Project,
        config: Config,
        lock: Lock,
        *,
        nix: Nix,
        options: RunOptions,
        reporter: Reporter,
    ) -> None:
        self.lock = lock
        self.package_of: Callable[[str], str] = lambda _: ""
        self._project, self._config, self._nix = project, config, nix
        self._options, self._reporter = options, reporter
        self._mark = project.state_dir / "commands"
        self._folder = project.state_dir / "runs"

    def held(self) -> set[str]:
        """Return the hashes of the recorded results that the store holds.

        Asking Nix takes a while, so the answer is remembered for as long as every path is still there.
        """
        paths = {tree_path(run.nar_sha256, STORE_NAME): run.nar_sha256 for run in self.lock.runs}
        there = [path for path in paths if os.path.lexists(self._nix.real(path))]
        if len(there) < len(paths) or recall(self._mark) != self._digest():
            there = [path for path in paths if path not in self._nix.invalid(list(paths))]
        return {paths[path] for path in there}

    def forget_beyond(self, count: int) -> None:
        """Drop results of commands that are no more."""
        self.lock = replace(self.lock, runs=self.lock.runs[:count])

    def remember(self) -> None:
        """Note that the store holds every result."""
        if recall(self._mark) != self._digest():
            remember(self._mark, self._digest())

    def _digest(self) -> str:
        named = [self._nix.identity, *(run.nar_sha256 for run in self.lock.runs)]
        return hashlib.sha256("\n".join(named).encode()).hexdigest()

    def perform(self, number: int, instruction: Instruction, key: str, *, enforced: bool, where: str) -> str:
        """Run a command on top of the results before it; record and return the hash of its own.

        Args:
            number: of the command, from 0.
            instruction: the command.
            key: what its result goes by.
            enforced: whether it must give what the lock records.
            where: it stands, for messages.
        """
        below, above = self.lock.runs[:number], self.lock.runs[number:]
        found = self._run(instruction, replace(self.lock, runs=below), where, self._nix.add_new_tree)
        manifest = difference.read(self._nix.real(tree_path(found, STORE_NAME)))
        same = bool(above) and above[0].nar_sha256 == found
        if enforced and not same:
            self._differs(instruction, above[0].nar_sha256, manifest, where)
        difference.remember(self._folder, found, manifest)
        # Results of the commands after it fit as long as they run on the same.
        runs = (*below, Run(instruction.text, key, found), *(above[1:] if same else ()))
        if runs != self.lock.runs:
            self.lock = replace(self.lock, runs=runs)
            lock_format.write(self.lock, self._project.lock_path)
        return found

    def try_again(self, number: int, instruction: Instruction) -> None:
        """Where that is asked for, run a command whose result is recorded once more, and compare."""
        if not self._options.tried:
            return
        from cog_nix.run_commands import causes  # noqa: PLC0415 - builds go without

        where = asked_at(self._project, self._config, number)
        self._reporter.step(f"Running {number + 1} once more: {instruction.command}")
        recorded = self._nix.real(tree_path(self.lock.runs[number].nar_sha256, STORE_NAME))
        below = replace(self.lock, runs=self.lock.runs[:number])
        found = self._run(instruction, below, where, lambda output: causes.compare(recorded, output))
        if found:
            self._options.tried(causes.Unsteady(where, instruction.text, found))

    def _run(self, instruction: Instruction, below: Lock, where: str, take: Callable[[Path], T]) -> T:
        """Run a command; return what is made of the folder that it leaves."""
        from cog_nix.namespaces import sandbox  # noqa: PLC0415 - a build that runs nothing goes without
        from cog_nix.run_commands import execute, handover  # noqa: PLC0415 - a build that runs nothing goes without

        handed = handover.message(self._secrets(instruction, where), os.environ)
        self._project.state_dir.mkdir(parents=True, exist_ok=True)
        with scratch.folder("run", self._project.state_dir) as folder:
            # What the builder needs is kept from being collected while it runs.
            invocation = self._nix.real(self._invocation(instruction, below, folder / "invocation"))
            with execute.executed(invocation, self._nix, STORE_NAME, handed, self._show) as outcome:
                if outcome.status == sandbox.FAILED:
                    raise failures.explain("", outcome.said, STORE_NAME)
                if outcome.status:
                    raise _failed(instruction, outcome, where, self.package_of)
                return take(outcome.output)

    def _invocation(self, instruction: Instruction, below: Lock, link: Path) -> str:
        """Make the store hold what a command's builder needs; return what says how it is started."""
        with scratch.folder("below") as folder:
            file = folder / "cog-nix.lock"
            file.write_text(lock_format.dump(below), encoding="utf-8")
            spec = {
                "lock": str(file),
                "project": str(self._project.root),
                "name": STORE_NAME,
                "core": str(package_folder()),
                "environment": [list(pair) for pair in self._config.environment],
                "command": instruction.text,
                **platforms.nix_arguments(self._project.platform),
            }
            return self._nix.build(nix_library() / "build.nix", spec, link, self._reporter)

    def _show(self, line: str) -> None:
        if not line.startswith(failures.OURS):
            self._reporter.info(f"  {line}")

    def _secrets(self, instruction: Instruction, where: str) -> dict[str, bytes]:
        values: dict[str, bytes] = {}
        for place in instruction.secrets:
            if place.id in self._options.secrets:
                values[place.id] = self._options.secrets[place.id].read(os.environ)
            elif place.required:
                raise ConfigError(f"{where}: secret {place.id}: not found", hint=_GIVE.format(place.id))
            else:
                self._reporter.warn(f"{where}: no secret {place.id} was given; the command runs without it")
        return values

    def _differs(self, instruction: Instruction, recorded: str, now: difference.Manifest, where: str) -> None:
        """Say in which files a new result is not what the lock records, unless that is accepted.

        Raises:
            LockError: it is not.
        """
        before = difference.recall(self._folder, recorded)
        there = self._nix.real(tree_path(recorded, STORE_NAME))
        if before is None and there.is_dir():
            before = difference.read(there)
        if before is None:
            lines = ["This machine does not have the recorded result, so the files cannot be named."]
        else:
            lines = difference.lines(before, now)
        shown = "\n".join(f"  {line}" for line in lines)
        sentence = (
            f"{where}: this command does not give the result that is recorded:\n  {instruction.text}\n{shown}"
        )
        if not self._options.accept:
            raise LockError(sentence, hint=_PIN)
        self._reporter.warn(sentence)


def _failed(
    instruction: Instruction, outcome: Outcome, where: str, package_of: Callable[[str], str]
) -> NixError:
    """Return the error for a command that failed, or for a builder that could not run it."""
    own = [line.removeprefix(failures.OURS) for line in outcome.said if line.startswith(failures.OURS)]
    if outcome.ended is None and not own:
        return failures.explain("", outcome.said, STORE_NAME)
    printed = [line for line in outcome.said if not line.startswith(failures.OURS)][-SHOWN_LINES:]
    program = missing_program("\n".join(printed)) if outcome.ended is not None else ""
    advised = f"{advice(program, package_of(program))}\n" if program else ""
    hint = f"{advised}Commands before it are kept; the next build goes on from here."
    return CommandFailedError(where, instruction.text, outcome.ended, own[-1:], printed, hint=hint)
