"""Tries again what failed for a passing reason."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cog_nix.fetch.failures import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.errors import CogNixError

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently."""

    attempts: int = 5
    """In a row without a byte of progress."""
    delay: float = 0.5
    """Seconds before the second attempt; each further wait is twice as long."""
    longest: float = 20.0


class Cancelled(Exception):  # noqa: N818 - not a failure: another one ended the work
    """The work is being given up: a sibling failed or the user pressed Ctrl-C."""


def retry(
    action: Callable[[], T],
    policy: RetryPolicy,
    failure: Callable[[str, int], CogNixError],
    *,
    cancelled: threading.Event | None = None,
    progress: Callable[[], int] = lambda: 0,
    again: Callable[[], object] = lambda: None,
) -> T:
    """Call ``action`` until it succeeds, at most ``policy.attempts`` times without progress in between.

    Args:
        action: raises TransientError where another attempt may help.
        policy: how often.
        failure: makes the error when every attempt failed, of the last reason and the number of attempts.
        cancelled: ends the waiting when set.
        progress: bytes had so far; an attempt that adds some does not count.
        again: called before each further attempt.

    Raises:
        CogNixError: every attempt failed.
        Cancelled: the event was set while waiting.
    """
    cancelled = cancelled or threading.Event()
    failures = 0
    had = progress()
    while True:
        try:
            return action()
        except TransientError as error:
            failures = 1 if progress() > had else failures + 1
            had = max(had, progress())
            if failures >= policy.attempts:
                raise failure(error.reason, failures) from error
            # Jitter keeps parallel work from knocking in step.
            backoff = min(policy.delay * 2 ** (failures - 1), policy.longest) * random.uniform(0.75, 1.25)  # noqa: S311
            if cancelled.wait(max(backoff, error.wait)):
                raise Cancelled from error
        again()
