"""Patterns of a ``.dockerignore`` file, translated to Python's regular expressions.

Follows moby/patternmatcher and its ``ignorefile`` reader: what a line means, how it is cleaned, how ``**``,
``*``, ``?`` and ``[…]`` match. Docker translates to Go's regular expressions; where these differ from
Python's (character classes, letters behind a backslash) the translation keeps Go's meaning. Standard library
only.
"""

from __future__ import annotations

import posixpath
import re

from cog_nix.errors import ConfigError
from cog_nix.system.values import frozen

_GO_ESCAPES = frozenset("dDsSwWbBAaftnrv")
"""Letters that mean the same behind a backslash in Go's and in Python's expressions (with ``re.ASCII``)."""

_IN_CLASS = r"(?:\\.|[^\\\-\]])"
_WELL_FORMED = re.compile(rf"(?s:\[\^?+(?:{_IN_CLASS}(?:-{_IN_CLASS})?)+\]|\\.|[^\[\\])*")
"""Go's syntax: classes, what stands behind a backslash, and any other characters."""

_POSIX_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r"\t ",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}


class PatternsError(ConfigError):
    """Lines of an ignore file are not patterns.

    Args:
        name: the file's.
        problems: number and text of each line, and what is wrong with it.
    """

    def __init__(self, name: str, problems: list[tuple[int, str, str]]) -> None:
        self.name, self.problems = name, problems
        shown = [f"{name}:{number}: {line!r} is not a valid pattern: {why}" for number, line, why in problems]
        super().__init__("\n".join(shown), hint=f"Correct or remove these lines of {name}.")


@frozen
class Reach:
    """Where the paths that a pattern can match may lie."""

    literal: tuple[str, ...]
    """Leading components without a wildcard."""
    depth: int | None
    """Number of components of every path it can match; None: any number."""
    trunk: str | None
    """The pattern without ``/**`` and ``/*`` at its end; None when anything else in it is special."""

    def enters(self, folder: list[str]) -> bool:
        """Return whether the pattern can match something below a folder.

        Args:
            folder: the folder's path, split at ``/``.
        """
        shared = min(len(folder), len(self.literal))
        if tuple(folder[:shared]) != self.literal[:shared]:
            return False
        return self.depth is None or self.depth > len(folder)


@frozen
class Pattern:
    """One line of the file."""

    expression: str
    """A regular expression for :func:`re.match` with ``re.ASCII``."""
    exception: bool
    reach: Reach


def parse(content: bytes, name: str) -> list[Pattern]:
    """Read an ignore file.

    Args:
        content: the file, UTF-8 with or without a byte order mark; other bytes match themselves.
        name: the file's name, for error messages.

    Raises:
        PatternsError: a line is not a valid pattern; all such lines are named.
    """
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    patterns = []
    problems = []
    for number, line in enumerate(text.split("\n"), start=1):
        cleaned = _clean(line.removesuffix("\r"))
        if not cleaned:
            continue
        try:
            patterns.append(_pattern(cleaned))
        except (ValueError, re.error) as error:
            problems.append((number, line.strip(), str(error)))
    if problems:
        raise PatternsError(name, problems)
    return patterns


def _clean(line: str) -> str:
    """Return a line as Docker keeps it; empty for comments and blanks."""
    if line.startswith("#"):
        return ""
    text = line.strip()
    mark, body = ("!", text[1:].strip()) if text.startswith("!") else ("", text)
    if body:
        body = _clean_path(body)
        body = body[1:] if len(body) > 1 and body.startswith("/") else body
    # The file's reader does the above; the matcher then cleans what it is given once more, mark and all.
    text = (mark + body).strip()
    return _clean_path(text) if text else ""


def _clean_path(path: str) -> str:
    """Return Go's ``filepath.Clean``: two slashes in front mean something to POSIX, but nothing to Go."""
    return posixpath.normpath(re.sub("^/+", "/", path))


def _pattern(text: str) -> Pattern:
    exception = text.startswith("!")
    body = text[1:] if exception else text
    if not body:
        raise ValueError("there is nothing after the exclamation mark")
    _check_syntax(body)
    expression = _expression(body)
    re.compile(expression, re.ASCII)
    return Pattern(expression, exception, _reach(body))


def _check_syntax(pattern: str) -> None:
    """Refuse what Go's ``filepath.Match`` calls malformed: an open or empty class, a backslash at the end.

    Raises:
        ValueError: says what is wrong.
    """
    well_formed = _WELL_FORMED.match(pattern)
    rest = pattern[well_formed.end() :] if well_formed else pattern
    if rest == "\\":
        raise ValueError("there is nothing after the backslash")
    if rest:
        raise ValueError("the character class [ ] is empty or is not closed")


def _expression(pattern: str) -> str:
    """Translate a pattern, keeping Docker's shortcuts: a lone ``**`` at an end compares plain text."""
    plain = not re.search(r"[*?\\\[\]]", pattern)
    if plain:
        return re.escape(pattern) + r"\Z"
    head = re.fullmatch(r"([^*?\\\[\]]+)\*\*/?", pattern)
    if head:
        # A prefix of the path's text: "docs/**" is everything in docs, "doc**" everything that begins so.
        return re.escape(head[1])
    tail = re.fullmatch(r"\*\*([^*?\\\[\]]*)", pattern)
    if tail:
        suffix = re.escape(tail[1])
        whole = f"|{re.escape(tail[1][1:])}" if tail[1].startswith("/") else ""
        return rf"(?:(?s:.*){suffix}{whole})\Z"
    go = _go_expression(pattern)
    body = _python_expression(go)
    # Docker leaves "|" unescaped and searches, so only the outer alternatives are anchored, each at one end.
    return rf"(?s:.*?)(?:\A{body}\Z)" if "|" in go else rf"{body}\Z"


def _go_expression(pattern: str) -> str:
    """Return the regular expression that Docker makes of a pattern, without its anchors."""
    result = []
    rest = pattern
    while rest:
        if rest.startswith("**"):
            rest = rest[2:].removeprefix("/")
            result.append("(.*/)?" if rest else ".*")
            continue
        char, rest = rest[0], rest[1:]
        if char == "*":
            result.append("[^/]*")
        elif char == "?":
            result.append("[^/]")
        elif char == "\\":
            result.append("\\" + rest[:1])
            rest = rest[1:]
        elif (
            char in ".+()$"
        ):  # not "|", "{", "}": Docker means to escape these as well, but its bit table cannot
            result.append("\\" + char)
        else:
            result.append(char)
    return "".join(result)


def _python_expression(go: str) -> str:
    result = []
    position = 0
    while position < len(go):
        char = go[position]
        if char == "[":
            text, position = _python_class(go, position + 1)
            result.append(text)
        elif char == "\\":
            result.append(_python_escape(go[position + 1]))
            position += 2
        else:
            # A lone "]" or "^" means itself to Go; so does "#" or "&", which Python only treats specially
            # elsewhere.
            result.append("\\]" if char == "]" else char)
            position += 1
    return "".join(result)


def _python_class(go: str, position: int) -> tuple[str, int]:
    """Translate a character class, escaping what Python might take for a set operation."""
    result = ["["]
    if go[position : position + 1] == "^":
        result.append("^")
        position += 1
    start = position
    while position < len(go) and (go[position] != "]" or position == start):
        named = re.compile(r"\[:(\w+):\]").match(go, position)
        if named:
            if named[1] not in _POSIX_CLASSES:
                raise ValueError(f"there is no character class {named[0]}")
            result.append(_POSIX_CLASSES[named[1]])
            position = named.end()
            continue
        if go[position] == "\\":
            result.append(_python_escape(go[position + 1]))
            position += 2
            continue
        char = go[position]
        result.append("-" if char == "-" else re.escape(char))
        position += 1
    if position >= len(go):
        raise ValueError("the character class [ ] is not closed")
    return "".join([*result, "]"]), position + 1


def _python_escape(char: str) -> str:
    if char == "z":
        return r"\Z"
    if char in _GO_ESCAPES:
        return "\\" + char
    if not char.isascii() or char.isalnum():
        raise ValueError(f"Docker does not know \\{char}")
    return re.escape(char)


def _reach(pattern: str) -> Reach:
    parts = pattern.split("/")
    trunk = pattern.removesuffix("/**").removesuffix("/*")
    plain_trunk = None if re.search(r"[*\[\]?^\\]", trunk) else trunk
    wild = [number for number, part in enumerate(parts) if re.search(r"[*?\\\[\]]", part)]
    if not wild:
        return Reach(tuple(parts), len(parts), plain_trunk)
    # "**" spans folders, and so may a class such as [^a]; what a backslash hides is not worth finding out.
    anywhere = re.search(r"\*\*|[\\\[\]]", pattern)
    return Reach(tuple(parts[: wild[0]]), None if anywhere else len(parts), plain_trunk)


def closed(folder: str, exceptions: list[Reach]) -> bool:
    """Return whether a walk need not enter an ignored folder, since no exception brings anything in it back.

    Where every exception is a plain path, Docker decides by their text, and does not enter ``a/b`` for
    ``!a/*/**`` although that could match below; this does the same. Where some exception is not, Docker
    enters every folder, and this spares the ones that lie elsewhere, which changes nothing but the time.

    Args:
        folder: path of the ignored folder.
        exceptions: reach of all the file's exceptions.
    """
    trunks = [reach.trunk for reach in exceptions]
    if None in trunks:
        parts = folder.split("/")
        return not any(reach.enters(parts) for reach in exceptions)
    return not any(f"{trunk}/".startswith(f"{folder}/") for trunk in trunks)
