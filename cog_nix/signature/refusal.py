"""Saying no: one exception inside the package, and how it becomes what the user reads.

Wording follows Cog's own where it has any, so that what people find when they search for a message fits.
"""

from __future__ import annotations

from cog_nix.errors import SignatureError

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


class RefusedSourceError(SignatureError):
    """The source says something that Cog does not support, as the user reads it.

    Args:
        refusal: what is wrong, and where as far as that is known.
        path: the file, when no closer place is known.

    Attributes:
        reason: what is wrong.
        path: the file.
        line: number of the line; 0 when it is about none.
    """

    def __init__(self, refusal: RefusalError, path: str) -> None:
        self.reason, self.line = refusal.message, refusal.line
        self.path = refusal.path if refusal.line else path
        place = f"{self.path}:{self.line}" if self.line else self.path
        code = refusal.code if len(refusal.code) <= _LONGEST_CODE else f"{refusal.code[:_LONGEST_CODE]} …"
        quoted = f"\n\n  {self.line} | {code}" if code else ""
        super().__init__(f"{place}: {self.reason}{quoted}", hint=refusal.hint)


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
