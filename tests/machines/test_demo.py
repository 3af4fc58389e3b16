"""README's first command on machines that have just been installed, in the same clone twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .conftest import CASES, Case, Demo

if TYPE_CHECKING:
    from concurrent.futures import Future

pytestmark = [pytest.mark.network, pytest.mark.nix, pytest.mark.root]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=[pytest.mark.docker] if case.docker else []) for case in CASES],
)
def test_the_demo_answers(case: Case, demos: dict[str, Future[Demo]]) -> None:
    for run in demos[case.name].result().runs:
        assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
        assert run.stdout.endswith("\nhello world\n")
