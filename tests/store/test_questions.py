"""What Nix answers before anything is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.store.failures import NixFailedError, UnexpectedAnswerError
from cog_nix.store.nix import Nix
from cog_nix.store.questions import Plan, evaluate, plan

if TYPE_CHECKING:
    from pathlib import Path

_SAID = """\
warning: unable to download 'http://c/nix-cache-info': it is gone (7)
these 2 derivations will be built:
  /nix/store/00000000000000000000000000000000-a.drv
  /nix/store/11111111111111111111111111111111-b.whl.drv
these 2 paths will be fetched (0.50 MiB download, 1.50 GiB unpacked):
  /nix/store/22222222222222222222222222222222-substitute
  /nix/store/33333333333333333333333333333333-layer
"""


def _nix(folder: Path, program: str, script: str) -> Nix:
    (folder / program).write_text(f"#!/bin/sh\n{script}\n")
    (folder / program).chmod(0o755)
    return Nix(folder, "own", folder / "store")


def test_a_plan_is_what_would_be_built_and_fetched(tmp_path: Path) -> None:
    (tmp_path / "said").write_text(_SAID)
    nix = _nix(tmp_path, "nix-build", f"cat {tmp_path}/said >&2")
    assert plan(nix, tmp_path / "build.nix", {}) == Plan(
        builds=frozenset({"a", "b.whl"}),
        fetches=(
            "/nix/store/22222222222222222222222222222222-substitute",
            "/nix/store/33333333333333333333333333333333-layer",
        ),
        warnings=("unable to download 'http://c/nix-cache-info': it is gone (7)",),
    )


def test_nothing_to_do_is_a_plan(tmp_path: Path) -> None:
    assert plan(_nix(tmp_path, "nix-build", ""), tmp_path / "build.nix", {}) == Plan()


def test_an_expression_that_cannot_be_evaluated_is_an_error(tmp_path: Path) -> None:
    nix = _nix(tmp_path, "nix-build", "echo 'error: undefined variable' >&2; exit 1")
    with pytest.raises(NixFailedError, match="undefined variable"):
        plan(nix, tmp_path / "build.nix", {})


def test_an_answer_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    nix = _nix(tmp_path, "nix-instantiate", "echo {")
    with pytest.raises(UnexpectedAnswerError, match="not what was asked for"):
        evaluate(nix, tmp_path / "build.nix", {})
