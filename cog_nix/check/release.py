"""May who uses one image use another instead? Interfaces are compared, and both are asked the same.

The images run one after the other: two models at once may not fit into a GPU, and would share the
processors that they are timed on. What is drawn by chance is asked twice: an answer that the old image does
not give again is none that the new one has to give.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cog_nix.check import drawn, interface
from cog_nix.check.asking import Answer, ask, client
from cog_nix.check.bench import wait_for
from cog_nix.check.case import CompatError
from cog_nix.check.declared import inputs_of, same, unmet
from cog_nix.check.inputs import parse
from cog_nix.check.interface import Effect, Finding
from cog_nix.check.result import Broken, Outcome
from cog_nix.check.subject import Image
from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.schema import ApiSchema
from cog_nix.runtime.validation import satisfies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.check.engine import Engine
    from cog_nix.config.model import Check
    from cog_nix.runtime.schema import Schema

_CONCURRENCY = "COG_MAX_CONCURRENCY"


@dataclass(frozen=True)
class Plan:
    """What both images are asked."""

    checks: tuple[Check, ...] = ()
    root: Path | None = None
    """Of the project that declares them."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Values for inputs as text, ``@path`` for a file; drawn inputs have them."""
    count: int = 10
    """How many inputs are drawn."""
    seed: int = 0
    exact: bool = False
    """Whether the new image has to give the old one's answers to what is drawn."""
    gpus: str = ""
    """As Docker's ``--gpus``; "": as the images say."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Of both containers."""


@dataclass(frozen=True)
class Question:
    """An input that both images get."""

    name: str
    inputs: dict[str, Any]
    check: Check | None = None
    """What is expected; None: it was drawn, and what the old image does is what is expected."""


@dataclass(frozen=True)
class Trial:
    """How a question went."""

    name: str
    drawn: bool
    inputs: dict[str, Any]
    outcome: Outcome
    detail: str
    old_seconds: float | None
    """From the question to its answer; None: the image did not run."""
    new_seconds: float | None
    changed: bool = False
    """Whether the new image answers something other than what the old one answers each time."""


@dataclass(frozen=True)
class Timing:
    """Seconds that something took, in each image."""

    what: str
    old: float
    new: float


@dataclass(frozen=True)
class Release:
    """Whether a new image can take an old one's place."""

    old: str
    new: str
    findings: tuple[Finding, ...]
    trials: tuple[Trial, ...]
    timings: tuple[Timing, ...]
    seed: int
    not_drawn: str = ""
    """Why nothing was drawn by chance; empty when it was."""

    @property
    def compatible(self) -> bool:
        """Whether a client of the old image may use the new one."""
        return not self.broken

    @property
    def broken(self) -> int:
        """How many things would break a client."""
        return sum(one.effect is Effect.BREAKS for one in self.findings) + sum(
            one.outcome is Outcome.FAIL for one in self.trials
        )

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"compatible": self.compatible, **asdict(self)}


def compare(old: str, new: str, plan: Plan, engine: Engine, advance: Callable[[str], None]) -> Release:
    """Compare two images, and ask both.

    Args:
        old: an image that the runtime holds.
        new: another one.
        plan: what is asked.
        engine: runs them.
        advance: told what is being done.

    Raises:
        CompatError: there is no such image, it is none of a model, or the old one does not run.
    """
    images = [Image(name, engine.inspect(name)) for name in (old, new)]
    before, after = map(_schema, images)
    try:
        findings = [*interface.compare(before, after), *_surroundings(*images)]
        component, output = before.input_component(), before.output()
    except RuntimeFailure as error:
        raise CompatError(error.message, hint="Name images of models.") from error
    questions, not_drawn = _questions(plan, component)
    try:
        was = _Asked.of(images[0], questions, plan, engine, advance)
    except Broken as reason:
        hint = "Give it what it needs, or compare with an image that runs."
        raise CompatError(
            f"{old} does not run, so there is nothing to compare with: {reason}", hint=hint
        ) from None
    try:
        now = _Asked.of(images[1], questions, plan, engine, advance)
    except Broken as reason:
        findings.append(Finding("start", Effect.BREAKS, str(reason)))
        return Release(old, new, tuple(findings), (), (), plan.seed, not_drawn)
    judge = _Judge(plan, output)
    trials = tuple(map(judge.trial, questions, was.answers, now.answers))
    return Release(old, new, tuple(findings), trials, tuple(_timings(was, now)), plan.seed, not_drawn)


def _schema(image: Image) -> ApiSchema:
    try:
        return ApiSchema(dict(image.schema))
    except Broken as reason:
        raise CompatError(
            f"{image.reference} does not say what its inputs are: {reason}", hint="Name an image of a model."
        ) from reason


def _surroundings(old: Image, new: Image) -> Iterator[Finding]:
    """Yield what changed around the model."""
    before, after = (
        int(text) if (text := one.env.get(_CONCURRENCY, "1")).isdigit() else 1 for one in (old, new)
    )
    if after < before:
        yield Finding(
            "concurrency", Effect.BREAKS, f"{after} at once, it was {before}: more are refused with 409"
        )
    elif after > before:
        yield Finding("concurrency", Effect.NEW, f"{after} at once, it was {before}")
    if old.sdk != new.sdk:
        yield Finding(
            "server", Effect.DIFFERENT, f"cog {new.sdk or 'unknown'}, it was {old.sdk or 'unknown'}"
        )


def _questions(plan: Plan, component: Schema) -> tuple[list[Question], str]:
    """Return what is asked, and why nothing is drawn; "" where that can be."""
    declared = [Question(one.name, inputs_of(one, _root(plan)), one) for one in plan.checks]
    properties = component.get("properties", {})
    unknown = sorted(set(plan.given) - set(properties))
    if unknown:
        raise CompatError(
            f"The model has no input {unknown[0]!r}.",
            hint=f"Its inputs are {', '.join(properties) or 'none'}.",
        )
    given = {name: parse(name, text, properties[name]) for name, text in plan.given.items()}
    known: dict[str, list[Any]] = {}
    for one in declared:
        for name, value in one.inputs.items():
            if name in properties and satisfies(value, properties[name]):
                known.setdefault(name, []).append(value)
    free = {
        **component,
        "properties": {name: schema for name, schema in properties.items() if name not in given},
    }
    try:
        found = [{**one, **given} for one in drawn.draw(free, plan.count, plan.seed, known)]
    except drawn.NotDrawableError as reason:
        return declared, str(reason)
    return [*declared, *(Question(f"random {number}", one) for number, one in enumerate(found, 1))], ""


def _root(plan: Plan) -> Path:
    assert plan.root is not None  # for the type checker: checks are a project's
    return plan.root


@dataclass(frozen=True)
class _Asked:
    """An image's answers."""

    ready: float
    """Seconds from its start until it could be asked."""
    answers: tuple[tuple[Answer, ...], ...]
    """To each question, as often as it was asked."""

    @classmethod
    def of(
        cls,
        image: Image,
        questions: Sequence[Question],
        plan: Plan,
        engine: Engine,
        advance: Callable[[str], None],
    ) -> _Asked:
        """Start an image and ask it.

        Raises:
            Broken: it does not run.
        """
        advance(f"starting {image.reference}")
        began = time.monotonic()
        gpus = plan.gpus or ("all" if image.wants_gpu else None)
        with engine.start(image.reference, env=plan.env, gpus=gpus) as running:
            wait_for(running, "READY")
            ready = time.monotonic() - began
            answers = []
            with client(running.url) as server:
                for one in questions:
                    advance(f"{image.reference}: {one.name}")
                    times = 1 if one.check else 2
                    answers.append(tuple(ask(server, one.inputs) for _ in range(times)))
        return cls(ready, tuple(answers))


@dataclass(frozen=True)
class _Judge:
    plan: Plan
    output: Schema
    """What a client knows that answers may be."""

    def trial(self, question: Question, old: Sequence[Answer], new: Sequence[Answer]) -> Trial:
        changed = False
        if question.check:
            outcome, detail = self._declared(question.check, old[0], new[0])
        else:
            outcome, detail = self._drawn(old, new[0])
            steady = {one.status for one in (*old, *new)} == {"succeeded"} and _all_same(old)
            changed = steady and not same(old[0].output, new[0].output)
        return Trial(
            question.name,
            question.check is None,
            {name: _short(value) for name, value in question.inputs.items()},
            outcome,
            detail,
            min(one.seconds for one in old),
            min(one.seconds for one in new),
            changed,
        )

    def _declared(self, check: Check, old: Answer, new: Answer) -> tuple[Outcome, str]:
        root = _root(self.plan)
        why, before = (unmet(check, one, root) for one in (new, old))
        if why:
            return Outcome.FAIL, f"{why}; the old image {'does not either' if before else 'does'}"
        return Outcome.PASS, f"the old image {old}" if before else ""

    def _drawn(self, old: Sequence[Answer], new: Answer) -> tuple[Outcome, str]:
        failed = next((one for one in old if one.status != "succeeded"), None)
        if failed:
            return Outcome.NOT_APPLICABLE, f"the old image {failed}"
        if new.status != "succeeded":
            return Outcome.FAIL, f"{new}; the old image {old[0]}"
        if not satisfies(new.output, self.output):
            return Outcome.FAIL, f"{new}, which the old image's interface does not allow"
        if same(old[0].output, new.output):
            return Outcome.PASS, ""
        if not _all_same(old):
            return Outcome.PASS, "the old image answers otherwise each time"
        return (Outcome.FAIL if self.plan.exact else Outcome.PASS), f"{new}; the old image {old[0]}"


def _all_same(answers: Sequence[Answer]) -> bool:
    return all(same(answers[0].output, one.output) for one in answers)


def _short(value: Any) -> Any:
    """Return an input without the contents of files."""
    if isinstance(value, str) and value.startswith("data:"):
        return f"{value.partition(',')[0]},…"
    return [_short(one) for one in value] if isinstance(value, list) else value


def _timings(old: _Asked, new: _Asked) -> Iterator[Timing]:
    yield Timing("start until ready", old.ready, new.ready)
    pairs = [
        (min(one.seconds for one in was), min(one.seconds for one in now))
        for was, now in zip(old.answers, new.answers, strict=True)
        if {one.status for one in (*was, *now)} == {"succeeded"}
    ]
    if pairs:
        before, after = (statistics.median(one) for one in zip(*pairs, strict=True))
        yield Timing("prediction, median", before, after)
