"""The story: an image comes in, every case is tried on it, and the results come out."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from cog_nix.check.asking import ask, client
from cog_nix.check.bench import Bench, wait_for
from cog_nix.check.case import select
from cog_nix.check.declared import inputs_of, unmet
from cog_nix.check.engine import Engine
from cog_nix.check.listener import Listener
from cog_nix.check.result import Broken, NotApplicable, Outcome, Result
from cog_nix.check.steps import play
from cog_nix.check.subject import FACTS, Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.check.case import Case
    from cog_nix.config.model import Check
    from cog_nix.plugins.spec import Runtime

DECLARED = "The project's cog-nix.toml"
"""The promise of what a project declares itself."""


def run(
    image: str,
    *,
    inputs: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    runtime: Runtime | None = None,
    read_only: bool = False,
) -> list[Result]:
    """Check that an image keeps the promises of Cog's images.

    Args:
        image: a reference or id of an image that the runtime holds.
        inputs: values for the model's inputs as text, ``@path`` for a file; required inputs that are not
            given are made up where that makes sense.
        only: names of cases; none: all those that apply to any image. Cases with a project hold for images
            of that project only, and run only when named.
        runtime: what holds and runs the image; None: Docker.
        read_only: whether nothing but /tmp can be written to; so it is for images that are not root's anyway.

    Returns:
        One result a case, in the order of their names.

    Raises:
        CompatError: the runtime does not answer, or there is no such image, case or input.
    """
    return list(results(image, inputs=inputs, only=only, runtime=runtime, read_only=read_only))


def results(
    image: str,
    *,
    inputs: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    runtime: Runtime | None = None,
    env: Mapping[str, str] | None = None,
    read_only: bool = False,
) -> Iterator[Result]:
    """Like :func:`run`, but yield each result when it is known; ``env`` is the containers' environment."""
    cases = select(only)
    with ExitStack() as stack:
        engine = Engine(runtime)
        subject = Image(image, engine.inspect(image), read_only)
        listener = stack.enter_context(Listener(engine.address, engine.host))
        bench = stack.enter_context(Bench(engine, subject, listener, dict(inputs or {}), dict(env or {})))
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


def declared(
    image: str,
    checks: Sequence[Check],
    root: Path,
    *,
    runtime: Runtime | None = None,
    gpus: str = "",
    env: Mapping[str, str] | None = None,
    read_only: bool = False,
) -> Iterator[Result]:
    """Try what cog-nix.toml declares on an image; yield a result for each check.

    Args:
        image: as :func:`results` takes it.
        checks: some.
        root: of the project that declares them.
        runtime: as for :func:`results`.
        gpus: as Docker's ``--gpus``; "": as the image says.
        env: of the container.
        read_only: as for :func:`run`.

    Raises:
        CompatError: there is no such image, or a file of a check cannot be read.
    """
    engine = Engine(runtime)
    subject = Image(image, engine.inspect(image), read_only)
    questions = [(one, inputs_of(one, root)) for one in checks]
    with ExitStack() as stack:
        try:
            running = stack.enter_context(
                engine.start(
                    image,
                    env=env or {},
                    gpus=gpus or ("all" if subject.wants_gpu else None),
                    sealed=subject.sealed,
                )
            )
            wait_for(running, "READY")
            server = stack.enter_context(client(running.url))
        except Broken as reason:
            yield from (Result(one.name, DECLARED, Outcome.FAIL, str(reason)) for one in checks)
            return
        for one, given in questions:
            answer = ask(server, given)
            why = unmet(one, answer, root)
            outcome = Outcome.FAIL if why else Outcome.PASS
            yield Result(one.name, DECLARED, outcome, why, round(answer.seconds, 3))


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
