"""Regular expressions as Go reads them (RE2's syntax), which is how a model's document is checked.

Python's own are another language: RE2 has neither look-around nor back-references, and its ``$`` is the very
end of a text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix.signature.pattern_parts import (
    CLASSES,
    POSIX,
    Pattern,
    PatternError,
    any_of,
    between,
    category,
    is_word_edge,
    one,
    ranges,
    repeated,
    sequence,
    where,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_REPEATS = 1000
_DEEPEST = 1000
_MOST_DIGITS = 8
_HIGHEST = 0x10FFFF
_UNICODE = re.compile(r"\\u([0-9A-F]{4})")
_REPEAT = re.compile(r"\{(0|[1-9][0-9]*)(?:(,)(0|[1-9][0-9]*)?)?\}")
_FLAGS = re.compile(r"\(\?(?:[imsU]*|[imsU]*-[imsU]+)([:)])")
_NAMED = re.compile(r"\(\?P?<")
_NAME = re.compile(r"[A-Za-z0-9_]+")
_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def compiled(pattern: str) -> Pattern:
    """Return a pattern that is ready to match.

    Raises:
        PatternError: RE2 would refuse it.
    """
    return _Parser(_UNICODE.sub(r"\\x{\1}", pattern)).parse()


class _Group:
    """An open parenthesis: what has been read in it, and the flags to go back to behind it."""

    def __init__(self, flags: frozenset[str]) -> None:
        self.flags = flags
        self.alternatives: list[list[Pattern]] = [[]]

    def closed(self) -> Pattern:
        """Return the group as one part."""
        return any_of([sequence(parts) for parts in self.alternatives])


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._flags: frozenset[str] = frozenset()
        self._groups = [_Group(self._flags)]
        self._last_repeat: int | None = None

    def parse(self) -> Pattern:
        while self._at < len(self._text):
            start, last = self._at, self._last_repeat
            self._last_repeat = None
            match self._text[start]:
                case "(":
                    self._open()
                case "|":
                    self._at += 1
                    self._groups[-1].alternatives.append([])
                case ")":
                    self._close()
                case "*" | "+" | "?" as sign:
                    self._at += 1
                    self._repeat(start, last, *{"*": (0, -1), "+": (1, -1), "?": (0, 1)}[sign])
                case "{" if counted := _REPEAT.match(self._text, start):
                    self._at = counted.end()
                    self._repeat(start, last, *self._counts(counted))
                case _:
                    self._add(self._single())
        if len(self._groups) > 1:
            raise PatternError("missing closing )", self._text)
        found = self._groups[0].closed()
        if found.height > _DEEPEST:
            raise PatternError("expression nests too deeply", self._text)
        return found

    def _add(self, *parts: Pattern) -> None:
        self._groups[-1].alternatives[-1].extend(parts)

    def _open(self) -> None:
        rest = self._text[self._at :]
        if not rest.startswith("(?"):
            self._at += 1
            self._groups.append(_Group(self._flags))
        elif found := _NAMED.match(rest):
            end = rest.find(">")
            if end < 0 or not _NAME.fullmatch(rest, found.end(), end):
                raise PatternError("invalid named capture", rest[: end + 1] if end >= 0 else rest)
            self._at += end + 1
            self._groups.append(_Group(self._flags))
        elif found := _FLAGS.match(rest):
            self._at += found.end()
            set_, _, cleared = found[0][2:-1].partition("-")
            before = self._flags
            self._flags = (self._flags | set(set_)) - set(cleared)
            if found[1] == ":":
                self._groups.append(_Group(before))
        else:
            raise self._unknown_flag(rest)

    def _unknown_flag(self, rest: str) -> PatternError:
        known = re.match(r"\(\?[imsU]*(?:-[imsU]*)?", rest)
        end = known.end() if known else len("(?")
        return PatternError("invalid or unsupported Perl syntax", rest[: end + 1])

    def _close(self) -> None:
        self._at += 1
        if len(self._groups) == 1:
            raise PatternError("unexpected )", self._text)
        group = self._groups.pop()
        self._flags = group.flags
        self._add(group.closed())

    def _counts(self, found: re.Match[str]) -> tuple[int, int]:
        least = self._count(found[1])
        most = least if not found[2] else -1 if found[3] is None else self._count(found[3])
        if least > _MOST_REPEATS or most > _MOST_REPEATS or 0 <= most < least:
            raise PatternError("invalid repeat count", found[0])
        return least, most

    def _count(self, digits: str) -> int:
        return int(digits) if len(digits) < _MOST_DIGITS else _MOST_REPEATS + 1

    def _repeat(self, start: int, last: int | None, least: int, most: int) -> None:
        if self._text.startswith("?", self._at):
            self._at += 1  # as few as possible: whether there is a match stays the same
        if last is not None:
            raise PatternError("invalid nested repetition operator", self._text[last : self._at])
        parts = self._groups[-1].alternatives[-1]
        written = self._text[start : self._at]
        if not parts:
            raise PatternError("missing argument to repetition operator", written)
        whole = repeated(parts.pop(), least, most, counted=written.startswith("{"))
        if whole.repeats > _MOST_REPEATS:
            raise PatternError("invalid repeat count", written)
        parts.append(whole)
        self._last_repeat = start

    def _single(self) -> Pattern:
        sign = self._text[self._at]
        if sign == "[":
            return one(self._class())
        if sign == "\\":
            return self._escaped()
        self._at += 1
        many_lines = "m" in self._flags
        match sign:
            case "^":
                return where(lambda text, at: at == 0 or (many_lines and text[at - 1] == "\n"))
            case "$":
                return where(lambda text, at: at == len(text) or (many_lines and text[at] == "\n"))
            case ".":
                anything = "s" in self._flags
                return one(lambda character: anything or character != "\n")
            case _:
                return one(self._folded(between(sign, sign)))

    def _escaped(self) -> Pattern:
        match self._text[self._at + 1 : self._at + 2]:
            case "A":
                found = where(lambda _, at: at == 0)
            case "z":
                found = where(lambda text, at: at == len(text))
            case "b":
                found = where(is_word_edge)
            case "B":
                found = where(lambda text, at: not is_word_edge(text, at))
            case "Q":
                return self._quoted()
            case _:
                many = self._shorthand()
                if many is None:
                    character = self._character(self._text[self._at :])
                    many = between(character, character)
                return one(self._folded(many))
        self._at += 2
        return found

    def _quoted(self) -> Pattern:
        start = self._at + 2
        end = self._text.find("\\E", start)
        quoted = self._text[start:end] if end >= 0 else self._text[start:]
        self._at = end + 2 if end >= 0 else len(self._text)
        parts = [one(self._folded(between(character, character))) for character in quoted]
        self._add(*parts[:-1])
        return parts[-1] if parts else sequence([])

    def _shorthand(self) -> Callable[[str], bool] | None:
        """Read a class that has a letter of its own, or a Unicode one; None when neither is here."""
        sign = self._text[self._at + 1 : self._at + 2]
        if sign.lower() in CLASSES and sign:
            self._at += 2
            return ranges(CLASSES[sign.lower()], negated=sign.isupper())
        if sign not in {"p", "P"}:
            return None
        rest = self._text[self._at :]
        if rest[2:3] == "{":
            end = rest.find("}")
            if end < 0:
                raise PatternError("invalid character class range", rest)
            written, name = rest[: end + 1], rest[3:end]
        else:
            written, name = rest[:3], rest[2:3]
        self._at += len(written)
        negated = sign == "P"
        if name.startswith("^"):
            negated, name = not negated, name[1:]
        return category(name, written, negated=negated)

    def _character(self, context: str) -> str:
        """Read one character of a class or an escape; ``context`` is what to show when the text ends."""
        if self._at >= len(self._text):
            raise PatternError("missing closing ]", context)
        start = self._at
        sign = self._text[start]
        self._at += 1
        if sign != "\\":
            return sign
        sign = self._text[self._at : self._at + 1]
        if not sign:
            raise PatternError("trailing backslash at end of expression", "")
        self._at += 1
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if sign == "x":
            return self._hexadecimal(start)
        if octal := re.compile(r"0[0-7]{0,2}|[1-7][0-7]{1,2}").match(self._text, start + 1):
            self._at = octal.end()
            return chr(int(octal[0], 8))
        if sign.isascii() and not sign.isalnum():
            return sign
        raise PatternError("invalid escape sequence", self._text[start : self._at])

    def _hexadecimal(self, start: int) -> str:
        found = re.compile(r"\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2})").match(self._text, self._at)
        if found is None or int(found[1] or found[2], 16) > _HIGHEST:
            raise PatternError("invalid escape sequence", self._text[start : self._at + 1])
        self._at = found.end()
        return chr(int(found[1] or found[2], 16))

    def _class(self) -> Callable[[str], bool]:
        whole = self._text[self._at :]
        self._at += 1
        negated = self._text.startswith("^", self._at)
        self._at += negated
        tests: list[Callable[[str], bool]] = []
        while not tests or not self._text.startswith("]", self._at):
            tests.append(self._class_part(whole))
        self._at += 1
        found = self._folded(lambda character: any(test(character) for test in tests))
        return (lambda character: not found(character)) if negated else found

    def _class_part(self, whole: str) -> Callable[[str], bool]:
        start = self._at
        if self._text.startswith("[:", start):
            end = self._text.find(":]", start + 2)
            if end >= 0:
                self._at = end + 2
                written = self._text[start : self._at]
                name = written[2:-2].removeprefix("^")
                if name not in POSIX:
                    raise PatternError("invalid character class range", written)
                return ranges(POSIX[name], negated=written.startswith("[:^"))
        if self._text.startswith("\\", start):
            many = self._shorthand()
            if many is not None:
                return many
        first = last = self._character(whole)
        if self._text.startswith("-", self._at) and self._text[self._at + 1 : self._at + 2] not in {"", "]"}:
            self._at += 1
            last = self._character(whole)
            if last < first:
                raise PatternError("invalid character class range", self._text[start : self._at])
        return between(first, last)

    def _folded(self, test: Callable[[str], bool]) -> Callable[[str], bool]:
        if "i" not in self._flags:
            return test
        return lambda character: any(
            test(variant)
            for variant in {character, character.lower(), character.upper()}
            if len(variant) == 1
        )
