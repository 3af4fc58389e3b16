"""Regular expressions as Go reads them, which is how a model's document is checked: by RE2 itself.

The engine is there where cog-nix runs, and source is read before every build. Inside a build, where an image
is put together, there is none, and what was found good before is not checked again.
"""

from __future__ import annotations

import re
from typing import Any

_MEMORY = 128 << 20
"""Bytes that an expression may take; Go's own limit is about that."""
_GO_WORDS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
}
"""What Go says where RE2 says something else."""


class PatternError(Exception):
    """A pattern is none that RE2 knows.

    Args:
        reason: what is wrong, in Go's words.
        text: the part of the pattern where it is.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"error parsing regexp: {reason}: `{text}`")


def compiled(pattern: str) -> Any:
    """Return a pattern that is ready to ``search``; None inside a build.

    Raises:
        PatternError: RE2 would refuse it.
    """
    try:
        import re2  # type: ignore[import-untyped] # noqa: PLC0415 - few inputs have a pattern
    except ImportError:
        return None
    if any_byte := re.search(r"(?<!\\)(?:\\\\)*(\\C)", pattern):  # RE2 alone knows it, not Go
        raise PatternError("invalid escape sequence", any_byte[1])
    options = re2.Options()
    options.log_errors, options.max_mem = False, _MEMORY
    try:
        return re2.compile(re.sub(r"\\u([0-9A-F]{4})", r"\\x{\1}", pattern), options)
    except re2.error as error:
        (said,) = error.args
        reason, _, text = (said.decode() if isinstance(said, bytes) else str(said)).partition(": ")
        raise PatternError(_GO_WORDS.get(reason, reason), text) from None
