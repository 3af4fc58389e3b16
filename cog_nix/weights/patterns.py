"""``include`` and ``exclude`` of a source: patterns as upstream's library takes them.

They look like those of an ignore file, and differ where nobody expects it: what matters is that the same
files are chosen here and there.

- A pattern holds at any depth, also one with a slash in it; one that begins with a slash holds at the top.
  So does one with a slash and, behind it, ``*.``: ``onnx/*.bin``.
- ``*`` stands for anything but a slash, ``?`` for itself.
- ``**/`` stands for any folders or none, ``/**`` for anything below.
- What is below a folder that a pattern names is named as well.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_AT_THE_TOP = re.compile(r"[^/+]/.*\*\.")
_TOKENS = re.compile(r"/\*\*/|\*\*/|/\*\*|\*|\[[^\]]+\]|[^*]", re.DOTALL)
_MEANING = {"/**/": "(?:/|/.+/)", "**/": "(?:|.*/)", "/**": "(?:|/.*)", "*": "[^/]*"}


def chosen(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a source's file is taken; what is excluded is not, even if it is included."""
    if any(_compiled(pattern)(path) for pattern in exclude):
        return False
    return not include or any(_compiled(pattern)(path) for pattern in include)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Callable[[str], object]:
    """Return what tells whether a path is one of a pattern's."""
    pattern = pattern.strip(" ")
    if not pattern or pattern.startswith("#"):
        return lambda _path: None
    if _AT_THE_TOP.search(pattern) and not pattern.startswith("/"):
        pattern = f"/{pattern}"
    if pattern.startswith("/**/"):
        pattern = pattern[1:]
    tokens = _TOKENS.findall(pattern)
    at_the_top = tokens[0] == "/"
    below = "(?:|.*)" if tokens[-1] == "/" else "(?:|/.*)"
    expression = "".join(map(_expression, tokens[1 if at_the_top else 0 :]))
    return re.compile(("/?" if at_the_top else "(?:|.*/)") + expression + below, re.DOTALL).fullmatch


def _expression(token: str) -> str:
    if token in _MEANING:
        return _MEANING[token]
    if len(token) > 1:
        with suppress(re.error):  # a range that is none: ``[z-a]``
            return re.compile(token).pattern
    return re.escape(token)
