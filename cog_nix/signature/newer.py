"""Source for a newer Python than the one that reads it.

A model may be written for a newer Python than the one that reads its signature. What is new in its grammar
says nothing about a signature, so such source is rewritten into older words before it is read. Every byte
keeps its place, so positions in the tree still point into what the user wrote.

What is rewritten: formatted and template strings (PEP 701, PEP 750), type parameters and ``type`` statements
(PEP 695, PEP 696), and several exception types without parentheses (PEP 758).
"""

from __future__ import annotations

import ast
import gc
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    rb"#[^\r\n]*|(?<![A-Za-z0-9_\x80-\xff])([A-Za-z]{0,2})(\"\"\"|'''|[\"'])|(\"\"\"|'''|[\"'])"
)
_STRING_PART = re.compile(rb"\\N\{[^}\r\n\"']*\}|\\(?:\r\n|[^{])?|\{\{|\{|\"\"\"|'''|[\"']|\r\n|\r|\n")
_FIELD_PART = re.compile(rb"#[^\r\n]*|([A-Za-z]{0,2})(\"\"\"|'''|[\"'])|[()\[\]{}]|!=|:=?|\r\n|\r|\n")
_PARAMETERS = re.compile(rb"\b(?:class|def)\b[ \t\f]+[A-Za-z0-9_\x80-\xff]+[ \t\f]*(\[)")
_ALIAS = re.compile(rb"(?:^|[;:\r\n])[ \t\f]*(type)[ \t\f]+[A-Za-z0-9_\x80-\xff]+[ \t\f]*[\[=]")
_EXCEPT = re.compile(rb"\bexcept\b")
_MARK = re.compile(rb"\\(?:\r\n|\r|\n)|[()\[\]{},;:\r\n]")
_INSIDE = re.compile(rb"[^\r\n]")
_BARE_NEWLINE = re.compile(rb"[^\r\n](?=\r|\n)")
_LONG = 3


def parse(text: str) -> ast.Module:
    """Return the syntax tree of a module.

    Raises:
        SyntaxError: no Python reads it, as far as this one can tell.
        ValueError: it has null bytes.
        RecursionError: it is nested too deeply.
        MemoryError: as above.
    """
    try:
        return _parse(text)
    except SyntaxError:
        older = in_older_words(text)
        if older != text:
            try:
                return _parse(older)
            except (SyntaxError, ValueError):
                pass
        raise  # what Python says about the source as the user wrote it


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings(), _without_collection():
        warnings.simplefilter("ignore")  # invalid escapes in the user's strings are the user's
        return ast.parse(text)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keep the garbage collector from walking a growing tree, which doubles the time of a long file."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def in_older_words(text: str) -> str:
    """Return a module as Python 3.11 reads it, every byte in its place."""
    data = text.encode()
    code, out = bytearray(data), bytearray(data)
    position = 0
    while found := _TOKEN.search(data, position):
        position = found.end()
        quote = found[2] or found[3]
        if quote:
            is_formatted = _is_formatted(found[1] or b"")
            position = _string_end(data, position, quote, is_formatted=is_formatted)
            if is_formatted:
                out[found.start() : position] = _emptied(data[found.start() : position], quote)
        code[found.start() : position] = _INSIDE.sub(b" ", data[found.start() : position])
    _blank_parameters(bytes(code), out)
    _blank_aliases(bytes(code), out)
    _join_exceptions(bytes(code), out)
    return out.decode()


def _is_formatted(prefix: bytes) -> bool:
    return prefix.lower() in {b"f", b"fr", b"rf", b"t", b"tr", b"rt"}


def _string_end(data: bytes, position: int, quote: bytes, *, is_formatted: bool) -> int:
    """Return where a string ends whose text starts at ``position``, at the latest with its line or file."""
    while found := _STRING_PART.search(data, position):
        part = found[0]
        position = found.end()
        if part == quote:
            return position
        if part.startswith(quote):  # three quotes behind a string that one ends
            return found.start() + len(quote)
        if part == b"{" and is_formatted:
            position = _field_end(data, position, quote)
        elif part in b"\r\n" and len(quote) < _LONG:
            return found.start()
        elif len(part) == _LONG and part in (b"'''", b'"""'):  # the other kind; it may hold this one's start
            position = found.start() + 1
    return len(data)


def _field_end(data: bytes, position: int, quote: bytes) -> int:
    """Return where a replacement field ends that starts behind ``{``; its expression may hold anything."""
    depth = 0
    while found := _FIELD_PART.search(data, position):
        part = found[0]
        position = found.end()
        if found[2]:
            position = _string_end(data, position, found[2], is_formatted=_is_formatted(found[1]))
        elif part in b"([{":
            depth += 1
        elif part in b")]}" and depth:
            depth -= 1
        elif part == b"}":
            return position
        elif part.startswith(b":") and depth == 0:
            return _format_end(data, found.start() + 1, quote)
    return len(data)


def _format_end(data: bytes, position: int, quote: bytes) -> int:
    """Return where a replacement field ends whose format starts at ``position``."""
    while position < len(data):
        character = data[position : position + 1]
        if character == b"}":
            return position + 1
        if data.startswith(quote, position):
            return position
        position += 1
        if character == b"{":
            position = _field_end(data, position, quote)
    return position


def _emptied(string: bytes, quote: bytes) -> bytes:
    """Return a formatted string without text and fields, as long as it was and over the same lines."""
    start = string.index(quote) + len(quote)
    prefix = string[:start].lower().replace(b"t", b"f")
    if not string.endswith(quote) or len(string) < start + len(quote):
        return string
    inside = _INSIDE.sub(b" ", string[start : -len(quote)])
    if len(quote) < _LONG:
        inside = _BARE_NEWLINE.sub(b"\\\\", inside)
    return prefix + inside + quote


def _closing(code: bytes, position: int) -> int:
    """Return where the bracket is that closes the one before ``position``; the end when it stays open."""
    depth = 1
    while found := _MARK.search(code, position):
        position = found.end()
        depth += (found[0] in b"([{") - (found[0] in b")]}")
        if depth == 0:
            return found.start()
    return len(code)


def _blank_parameters(code: bytes, out: bytearray) -> None:
    """Take away ``[T]`` behind the name of a class or function."""
    end = 0
    while found := _PARAMETERS.search(code, end):
        start, end = found.start(1), _closing(code, found.end()) + 1
        out[start:end] = _BARE_NEWLINE.sub(b"\\\\", _INSIDE.sub(b" ", code[start:end]))


def _blank_aliases(code: bytes, out: bytearray) -> None:
    """Make ``type Name = value`` a ``pass``."""
    end = 0
    while found := _ALIAS.search(code, end):
        start = found.start(1)
        end, _ = _clause(code, found.end(1), b";")
        blank = _INSIDE.sub(b" ", code[start + 4 : end])
        if code[end : end + 1] == b";":  # which cannot start a line
            blank = _BARE_NEWLINE.sub(b"\\\\", blank)
        out[start:end] = b"pass" + blank


def _join_exceptions(code: bytes, out: bytearray) -> None:
    """Make ``except A, B:`` one expression."""
    end = 0
    while found := _EXCEPT.search(code, end):
        end, commas = _clause(code, found.end(), b":")
        if b" as " not in code[found.end() : end]:
            for comma in commas:
                out[comma] = ord("|")


def _clause(code: bytes, position: int, last: bytes) -> tuple[int, list[int]]:
    """Return where a clause ends, at ``last`` or the line's end, and its commas outside of brackets."""
    depth = 0
    commas: list[int] = []
    while found := _MARK.search(code, position):
        mark, position = found[0], found.end()
        if mark in b"([{":
            depth += 1
        elif mark in b")]}":
            depth -= 1
        elif depth <= 0 and (mark == last or mark in b"\r\n"):
            return found.start(), commas
        elif depth == 0 and mark == b",":
            commas.append(found.start())
    return len(code), commas
