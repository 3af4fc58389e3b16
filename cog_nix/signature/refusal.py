"""Saying no: one exception inside the package, and how it becomes what the user reads.

Wording follows Cog's own where it has any, so that what people find when they search for a message fits.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from cog_nix.errors import SignatureError

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator

    from cog_nix.signature.syntax import Source

UNSUPPORTED = "unsupported type: "
_LONGEST_CODE = 160


class RefusalError(Exception):
    """The source says something that Cog does not support.

    Args:
        message: what is wrong.
        hint: what to write instead.
        is_missing: whether something was not found that an unreadable file might define.
    """

    def __init__(self, message: str, hint: str = "", *, is_missing: bool = False) -> None:
        super().__init__(message)
        self.is_missing = is_missing
        self.message = message
        self.hint = hint
        self.path = ""
        self.line = 0
        self.code = ""

    def at(self, path: str, line: int, code: str) -> None:
        """Remember where this is, unless a place closer to the cause is known already."""
        if not self.line:
            self.path, self.line, self.code = path, line, code

    def as_error(self, path: str) -> SignatureError:
        """Return the error for the user, naming ``path`` when no closer place is known."""
        if not self.line:
            return SignatureError(f"{path}: {self.message}", hint=self.hint)
        code = self.code if len(self.code) <= _LONGEST_CODE else f"{self.code[:_LONGEST_CODE]} …"
        quoted = f"\n\n  {self.line} | {code}" if code else ""
        return SignatureError(f"{self.path}:{self.line}: {self.message}{quoted}", hint=self.hint)


def unsupported(what: str, hint: str = "") -> RefusalError:
    """Return the refusal of a type."""
    return RefusalError(f"{UNSUPPORTED}{what}", hint)


def unresolved_import(name: str, module: str) -> RefusalError:
    """Return the refusal of a type that comes from a module whose source is not in the project."""
    message = f"cannot resolve type '{name}' (imported from '{module}')"
    if module == "builtins":
        return RefusalError(message, _BUILTIN_HINTS.get(name, "Use one of str, int, float, bool or Path."))
    return RefusalError(
        f"{message} - external types cannot be statically analyzed",
        f"Define {name} as a BaseModel subclass in this project. If its values are plain JSON, mark it: "
        f"`from typing import Annotated`, `from cog import Opaque`, then `Annotated[{name}, Opaque]`.",
        is_missing=True,
    )


_BUILTIN_HINTS = {
    "list": "Say what is in the list: list[str], list[int], list[float], list[bool] or list[Path].",
    "set": "Use a list: list[str].",
    "None": "Every input and output needs a type with values. A model that returns nothing can return a str.",
}


@contextmanager
def located(source: Source, node: ast.AST) -> Iterator[None]:
    """Give every refusal that leaves the block the place of ``node``."""
    try:
        yield
    except RefusalError as refusal:
        line = getattr(node, "lineno", 0)
        refusal.at(source.path, line, source.line(line).strip())
        raise
