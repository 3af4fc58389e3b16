"""What the steps of a case do, with a model that is a server of this process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

import pytest

from cog_nix.check.case import all_cases
from cog_nix.check.result import Broken
from cog_nix.check.steps import STEPS, Stage
from tests.check.models import Model, Running, document, says

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.check.bench import Bench


@pytest.fixture
def model() -> Model:
    return Model(document({"text": {"type": "string"}}), lambda _: says("yes"))


@pytest.fixture
def stage(model: Model) -> Iterator[Stage]:
    with Running(model) as running, ThreadPoolExecutor() as pool, ExitStack() as stack:
        made = Stage(all_cases()[0], cast("Bench", None), pool, stack)
        vars(made)["url"] = running.url
        yield made


STEP = {"http": "POST /predictions", "json": {"input": {}}}


def test_a_server_that_is_still_busy_is_asked_again(model: Model, stage: Stage) -> None:
    model.busy = 3
    STEPS["http"](STEP, {"status": 200}, stage)
    model.busy = 2
    STEPS["http"]({**STEP, "background": "first"}, {}, stage)
    STEPS["join"]({"join": "first"}, {"status": 200}, stage)
    assert (model.busy, len(model.asked)) == (0, 2)


def test_a_refusal_that_is_promised_is_the_answer(model: Model, stage: Stage) -> None:
    model.busy = 1
    STEPS["http"](STEP, {"status": 409}, stage)
    assert (model.busy, model.asked) == (0, [])
    with pytest.raises(Broken, match="answered 200, not 409"):
        STEPS["http"](STEP, {"status": 409}, stage)
