"""What a case does, step by step. Each step is a table with one key of :data:`STEPS`, and what it expects.

``http = "POST /predictions"``
    Send a request; ``headers``, ``json``, ``body``. With ``background = "name"`` the next step begins before
    the answer comes; with ``hang_up = seconds`` the connection is dropped.
``join = "name"``
    Take the answer of a background request.
``run = "shell command"``
    Run it in the container; ``expect`` has ``exit`` (0) and ``text``.
``health = "BUSY"``
    Wait for the health status; ``expect`` looks at the whole answer.
``hook = "completed"`` or ``hook = { count = n }``
    Wait for a webhook with a final status, or for n requests; ``expect`` has ``sequence``, ``never`` and
    ``all``.
``stop = "SIGTERM"``
    Send a signal; ``expect`` has ``exit`` and ``within`` seconds.
``image = { … }``
    Compare with the image's configuration.
``pause = seconds``
    Let time pass.
``check = "name"``
    Call a function of checks.py.

An ``expect`` of an answer may have ``status``, ``headers``, ``json``, ``text`` and ``events`` (server-sent
events that must come in this order, others may lie between). Values follow matching.py.

In requests, in ``expect`` and in a container's ``env``, ``${name}`` stands for a variable: ``input``,
``input and more``, ``wrong input``, ``unfit input`` (an object where none is
taken), ``wrong name``, ``id``, ``hook`` (a URL that notes what is sent there),
``url of FILE`` and ``data of FILE`` (a file beside ``case.toml``).
"""

from __future__ import annotations

import functools
import mimetypes
import re
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx

from cog_nix.check import inputs, sse
from cog_nix.check.asking import until_taken
from cog_nix.check.bench import ANSWER_SECONDS, health, wait_for
from cog_nix.check.case import CompatError
from cog_nix.check.checks import CHECKS
from cog_nix.check.matching import differences, show
from cog_nix.check.result import Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.check.bench import Bench
    from cog_nix.check.case import Case
    from cog_nix.check.engine import Running
    from cog_nix.check.listener import Received

VARIABLE = re.compile(r"\$\{([^}]+)\}")
HOOK_SECONDS = 30.0
STOP_SECONDS = 10.0
"""What `docker stop` grants before it kills."""
FINAL = frozenset({"succeeded", "failed", "canceled"})

Step = dict[str, Any]


def play(case: Case, bench: Bench) -> None:
    """Do the steps of a case.

    Raises:
        Broken: something is not as the promise says.
        NotApplicable: the promise says nothing about this image.
    """
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=8))
        stage = Stage(case, bench, pool, stack)
        for number, step in enumerate(case.steps, 1):
            try:
                _do(dict(step), stage)
            except (httpx.HTTPError, LookupError, ValueError) as error:  # no answer, no such key, no JSON
                raise Broken(f"step {number}: {type(error).__name__}: {error}") from error
            except Broken as reason:
                raise Broken(f"step {number}: {reason}") from reason


@dataclass
class Stage:
    """What the steps of one case share."""

    case: Case
    bench: Bench
    pool: ThreadPoolExecutor
    stack: ExitStack
    pending: dict[str, Future[httpx.Response]] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @functools.cached_property
    def running(self) -> Running:
        """The container of the case, started by the first step that needs it."""
        wanted = self.case.container
        if wanted is not None:
            wanted = replace(wanted, env=self.fill(dict(wanted.env)))
        return self.stack.enter_context(self.bench.container(wanted))

    @functools.cached_property
    def url(self) -> str:
        """Where the model answers."""
        return self.running.url

    @functools.cached_property
    def hook(self) -> str:
        """The path of the listener that belongs to this case."""
        return self.bench.listener.new_hook()

    def variable(self, name: str) -> Any:
        """Return what ``${name}`` stands for.

        Raises:
            CompatError: the case is wrong.
            NotApplicable: the image offers no such thing.
        """
        verb, _, file = name.partition(" of ")
        if verb in {"url", "data"}:
            return self._file(verb, self.case.folder / file)
        if name not in VARIABLES:
            raise CompatError(f"{self.case.name}/case.toml: there is no variable {name!r}")
        return VARIABLES[name](self)

    def _file(self, form: str, path: Path) -> str:
        if form == "data":
            return inputs.data_url(path)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return self.bench.listener.offer(path.name, kind, path.read_bytes())

    def wrong_input(self) -> tuple[str, dict[str, Any]]:
        """Return an input's name and a request in which it is wrong."""
        return inputs.wrong(self.bench.image.schema, self.bench.right_input())

    def unfit_input(self) -> dict[str, Any]:
        """Return a request with an object where none is taken, which no conversion makes right."""
        name, request = self.wrong_input()
        return {**request, name: {}}

    def fill(self, value: Any) -> Any:
        """Return a value with its variables replaced, however deep they lie."""
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if not isinstance(value, str):
            return value
        if whole := VARIABLE.fullmatch(value):
            return self.variable(whole[1])
        return VARIABLE.sub(lambda match: str(self.variable(match[1])), value)


VARIABLES: Mapping[str, Callable[[Stage], Any]] = {
    "input": lambda stage: stage.bench.right_input(),
    "input and more": lambda stage: {**stage.bench.right_input(), "no_model_has_this_input": 1},
    "wrong input": lambda stage: stage.wrong_input()[1],
    "unfit input": lambda stage: stage.unfit_input(),
    "wrong name": lambda stage: stage.wrong_input()[0],
    "id": lambda stage: stage.id,
    "hook": lambda stage: stage.bench.listener.base + stage.hook,
}
"""Every variable but those that name a file."""


def _do(step: Step, stage: Stage) -> None:
    kinds = [kind for kind in STEPS if kind in step]
    if len(kinds) != 1:
        raise CompatError(f"{stage.case.name}/case.toml: a step needs one of {', '.join(STEPS)}")
    expect = stage.fill(step.pop("expect", {}))
    STEPS[kinds[0]](step, expect, stage)


def _refuse(found: Iterator[str]) -> None:
    if sentences := list(found):
        raise Broken("; ".join(sentences[:3]))


def _http(step: Step, expect: Step, stage: Stage) -> None:
    send = functools.partial(_send, stage.fill(step), stage.url)
    wants_refusal = expect.get("status") == httpx.codes.CONFLICT
    sent = stage.pool.submit(send) if wants_refusal else stage.pool.submit(until_taken, send)
    if name := step.get("background"):
        stage.pending[name] = sent
    elif "hang_up" in step:
        sent.exception()
    else:
        _look_at(sent.result(), expect)


def _send(step: Step, url: str) -> httpx.Response:
    method, _, path = step["http"].partition(" ")
    return httpx.request(
        method,
        url + path,
        headers=step.get("headers"),
        json=step.get("json"),
        content=step.get("body"),
        timeout=step.get("hang_up", ANSWER_SECONDS),
    )


def _join(step: Step, expect: Step, stage: Stage) -> None:
    _look_at(stage.pending.pop(step["join"]).result(), expect)


def _look_at(answer: httpx.Response, expect: Step) -> None:
    if "status" in expect and answer.status_code != expect["status"]:
        raise Broken(f"answered {answer.status_code}, not {expect['status']}: {answer.text[:300]}")
    if "headers" in expect:
        _refuse(differences(expect["headers"], dict(answer.headers), "headers"))
    if "json" in expect:
        try:
            value = answer.json()
        except ValueError as error:
            raise Broken(f"answered something other than JSON: {answer.text[:300]}") from error
        _refuse(differences(expect["json"], value))
    if "text" in expect:
        _refuse(differences(expect["text"], answer.text, "the answer"))
    if "events" in expect:
        _in_order(expect["events"], sse.parse(answer.text), "event")


def _in_order(expected: Sequence[Any], came: Sequence[Any], noun: str) -> None:
    rest = iter(came)
    for want in expected:
        if not any(not list(differences(want, have)) for have in rest):
            raise Broken(f"no {noun} {show(want)} in its place among {show(came)}")


def _run(step: Step, expect: Step, stage: Stage) -> None:
    code, text = stage.running.run(step["run"])
    if code != expect.get("exit", 0):
        raise Broken(f"`{step['run']}` exited with {code}: {text.strip()[-300:]}")
    if "text" in expect:
        _refuse(differences(expect["text"], text.strip(), f"the output of `{step['run']}`"))


def _health(step: Step, expect: Step, stage: Stage) -> None:
    wait_for(stage.running, step["health"], timeout=60)
    if expect:
        _refuse(differences(expect, health(stage.url)))


def _hook(step: Step, expect: Step, stage: Stage) -> None:
    wanted = step["hook"]

    def enough(came: list[Received]) -> bool:
        if isinstance(wanted, dict):
            return len(came) >= int(wanted["count"])
        return any(request.json().get("status") in FINAL for request in came)

    came = stage.bench.listener.wait(stage.hook, enough, HOOK_SECONDS)
    if not enough(came):
        raise Broken(f"{len(came)} requests came within {HOOK_SECONDS:g} s: {[r.body[:80] for r in came]}")
    if isinstance(wanted, dict):
        tables = [
            {"method": r.method, "path": r.path.removeprefix(stage.hook), "headers": r.headers} for r in came
        ]
    else:
        tables = [request.json() for request in came]
    if "sequence" in expect:
        _in_order(expect["sequence"], tables, "request")
    for unwanted in expect.get("never", ()):
        if any(not list(differences(unwanted, table)) for table in tables):
            raise Broken(f"there is a request {show(unwanted)} among {show(tables)}")
    if "all" in expect:
        for table in tables:
            _refuse(differences(expect["all"], table))


def _stop(step: Step, expect: Step, stage: Stage) -> None:
    code, seconds = stage.running.stop(step["stop"], float(expect.get("within", STOP_SECONDS)))
    if code is None:
        raise Broken(f"it still runs {seconds:.1f} s after {step['stop']}")
    if "exit" in expect and code != expect["exit"]:
        raise Broken(f"it exited with {code}, not {expect['exit']}, after {step['stop']}")


def _image(step: Step, _expect: Step, stage: Stage) -> None:
    image = stage.bench.image
    actual: Mapping[str, Any] = {
        **image.config,
        "Env": dict(image.env),
        "Labels": dict(image.labels),
        "Os": image.attributes.get("Os"),
        "Architecture": image.attributes.get("Architecture"),
    }
    _refuse(differences(step["image"], actual))


def _pause(step: Step, _expect: Step, _stage: Stage) -> None:
    time.sleep(float(step["pause"]))


def _check(step: Step, _expect: Step, stage: Stage) -> None:
    CHECKS[step["check"]](stage.bench.image, lambda: stage.running)


STEPS: Mapping[str, Callable[[Step, Step, Stage], None]] = {
    "http": _http,
    "join": _join,
    "run": _run,
    "health": _health,
    "hook": _hook,
    "stop": _stop,
    "image": _image,
    "pause": _pause,
    "check": _check,
}
"""Every kind of step."""
