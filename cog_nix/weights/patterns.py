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
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_AT_THE_TOP = re.compile(r"[^/+]/.*\*\.")
_TOKENS = re.compile(r"/\*\*/|\*\*/|/\*\*|\*|\[[^\]]+\]|[^*]", re.DOTALL)
_MEANING = {"/**/": "(?:/|/.+/)", "**/": "(?:|.*/)", "/**": "(?:|/.*)", "*": "[^/]*"}


def chosen(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a source's file is taken; what is excluded is not, even if it is included."""
    if any(_compiled(pattern)(path) for pattern in exclude):
        return False
    return not include or any(_compiled(pattern)(path) for pattern in include)


@lru_cache(maxsize=256)
def _compiled(pattern: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    pattern = pattern.strip(" ")
    if not pattern or pattern.startswith("#"):
        return lambda _path: None
    if _AT_THE_TOP.search(pattern) and not pattern.startswith("/"):
        pattern = f"/{pattern}"
    if pattern.startswith("/**/"):
        pattern = pattern[1:]
    below = "(?:|.*)" if pattern.endswith("/") else "(?:|/.*)"
    anchored = pattern.startswith("/")
    body = pattern.removeprefix("/") if not pattern.startswith("/**") else pattern
    expression = "".join(
        _MEANING.get(token) or (token if token.startswith("[") and len(token) > 1 else re.escape(token))
        for token in _TOKENS.findall(body)
    )
    return re.compile(("/?" if anchored else "(?:|.*/)") + expression + below, re.DOTALL).fullmatch
