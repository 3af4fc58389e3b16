"""What a case found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a promise fared."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Result:
    """One row of the table."""

    case: str
    promise: str
    outcome: Outcome
    detail: str = ""
    """Why it failed or does not apply; empty when it passed."""
    seconds: float = 0.0


class Broken(Exception):  # noqa: N818 - it is a verdict, not an error
    """Raised by a step: the promise is broken, and how."""


class NotApplicable(Exception):  # noqa: N818 - it is a verdict, not an error
    """Raised by a step: the promise says nothing about this image, and why."""
