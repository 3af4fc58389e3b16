"""What a build says that is answered without the command line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cog_nix.cli.terminal import amount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.report import Reporter


def tell_start(reporter: Reporter, answer: Mapping[str, Any]) -> None:
    """Say what is built, and what it was warned about.

    Args:
        reporter: hears it.
        answer: what is kept of the build (:mod:`cog_nix.build.again`).
    """
    for warning in (*answer["warnings"], *answer["pitfalls"]):
        reporter.warn(warning)
    reporter.step(f"Building {answer['tag']}")


def tell_result(
    reporter: Reporter, answer: Mapping[str, Any], began: float, *, loaded: bool, linked: bool
) -> None:
    """Say that it is done.

    Args:
        reporter: hears it.
        answer: as above.
        began: what :func:`time.monotonic` said.
        loaded: whether a runtime has it.
        linked: whether ``./result`` leads to it.
    """
    took = f"({amount(answer['size'])}) in {time.monotonic() - began:.1f} s"
    if loaded:
        reporter.info(f"Image built as {answer['tag']} {took}")
    else:
        where = "./result" if linked else answer["image"]
        reporter.info(f"Built {answer['tag']} {took}: {where}")
