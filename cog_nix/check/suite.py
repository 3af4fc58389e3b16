"""The story: an image comes in, every case is tried on it, and the results come out."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from cog_nix.check.bench import Bench
from cog_nix.check.case import select
from cog_nix.check.engine import Engine
from cog_nix.check.listener import Listener
from cog_nix.check.result import Broken, NotApplicable, Outcome, Result
from cog_nix.check.steps import play
from cog_nix.check.subject import FACTS, Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cog_nix.check.case import Case
    from cog_nix.plugins.spec import Runtime


def run(
    image: str,
    *,
    inputs: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    runtime: Runtime | None = None,
) -> list[Result]:
    """Check that an image keeps the promises of Cog's images.

    Args:
        image: a reference or id of an image that the runtime holds.
        inputs: values for the model's inputs as text, ``@path`` for a file; required inputs that are not
            given are made up where that makes sense.
        only: names of cases; none: all those that apply to any image. Cases with a project hold for images
            of that project only, and run only when named.
        runtime: what holds and runs the image; None: Docker.

    Returns:
        One result a case, in the order of their names.

    Raises:
        CompatError: the runtime does not answer, or there is no such image, case or input.
    """
    return list(results(image, inputs=inputs, only=only, runtime=runtime))


def results(
    image: str,
    *,
    inputs: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    runtime: Runtime | None = None,
) -> Iterator[Result]:
    """Like :func:`run`, but yield each result when it is known."""
    cases = select(only)
    with ExitStack() as stack:
        engine = Engine(runtime)
        subject = Image(image, engine.inspect(image))
        listener = stack.enter_context(Listener(engine.address, engine.host))
        bench = stack.enter_context(Bench(engine, subject, listener, dict(inputs or {})))
        for case in cases:
            yield judge(case, bench)


def judge(case: Case, bench: Bench) -> Result:
    """Try one case."""
    begun = time.monotonic()
    outcome, detail = Outcome.PASS, ""
    try:
        _applies(case, bench.image)
        kept, detail = _kept(case, bench.image)
        play(kept, bench)
    except NotApplicable as reason:
        outcome, detail = Outcome.NOT_APPLICABLE, str(reason)
    except Broken as reason:
        outcome, detail = Outcome.FAIL, str(reason)
    return Result(case.name, case.promise, outcome, detail, round(time.monotonic() - begun, 2))


def _kept(case: Case, image: Image) -> tuple[Case, str]:
    """Return what an image's SDK keeps of a promise, and what it lacks.

    Raises:
        NotApplicable: it keeps nothing of it.
    """
    older = None if image.has_coglet else case.before_coglet
    if older is None:
        return case, ""
    detail = f"cog {image.sdk}: {older.lacks}"
    if not older.steps:
        raise NotApplicable(detail)
    return replace(case, steps=older.steps), detail


def _applies(case: Case, image: Image) -> None:
    for need in case.needs:
        holds, otherwise = FACTS[need]
        if not holds(image):
            raise NotApplicable(otherwise)
