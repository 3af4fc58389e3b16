"""One row of the table of readers that strangers' bytes come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Parser:
    """A reader, what it is given, and how it may answer.

    Args:
        name: unique; the id of its test.
        modules: whose code reads, as paths below the repository without ``.py``.
        given: draws inputs.
        read: takes an input and an empty folder of its own.
        refuses: exceptions that its documentation names, beside ours.
    """

    name: str
    modules: tuple[str, ...]
    given: SearchStrategy[Any]
    read: Callable[[Any, Path], object]
    refuses: tuple[type[Exception], ...] = ()


def in_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes | str, Path], object]:
    """Return a reader of contents from one that is given a file's path.

    Args:
        name: of the file; its folder is the fresh one.
        read: of the file.
    """

    def of_content(content: bytes | str, folder: Path) -> object:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        return read(path)

    return of_content
