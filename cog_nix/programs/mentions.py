"""Whether Python source may start programs at all, told without parsing it."""

from __future__ import annotations

import re

_MENTIONS = re.compile(
    rb"subprocess|\b(?:Popen|system|popen|which|find_executable|pexpect)\b"
    rb"|\b(?:exec[lv]p?e?|(?:posix_)?spawn\w*|run_process|open_process)\b"
)
"""What is in every source that has a call of :data:`cog_nix.programs.calls.CALLS`."""


def may_start(data: bytes) -> bool:
    """Tell whether source mentions a function that starts programs."""
    return _MENTIONS.search(data) is not None
