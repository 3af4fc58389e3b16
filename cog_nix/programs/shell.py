"""What commands start, as words or as shell text (POSIX.1-2017, Shell Command Language).

A program, and what that starts in turn (``timeout 5 ffmpeg``, ``sh -c``), as far as it is written out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix.programs.words import UNKNOWN, Script, program
from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OPENING = frozenset({"!", "{", "do", "elif", "else", "if", "then", "until", "while"})
"""Words behind which a command begins (2.4, Reserved Words)."""
_CLOSING = frozenset({"}", "done", "fi"})
_BUILT_IN = frozenset(
    {
        *(".", ":", "alias", "bg", "break", "builtin", "cd", "continue", "declare", "eval", "exit", "export"),
        *("false", "fg", "getopts", "jobs", "let", "local", "popd", "pushd", "read", "readonly", "return"),
        *("set", "shift", "shopt", "source", "times", "trap", "true", "typeset", "ulimit", "umask"),
        *("unalias", "unset", "wait"),
    }
)
"""What a shell does itself, with words that start nothing."""
_ITSELF = frozenset({"command", "exec", "hash", "time", "type"})
"""What it does itself, with words that name programs."""
_SHELLS = frozenset({"bash", "dash", "sh", "zsh"})
_LOOK_UP = frozenset({"command", "hash", "type", "which"})
_VALUED: dict[str, str] = {
    "env": "CSu",
    "ionice": "cn",
    "nice": "n",
    "nohup": "",
    "setsid": "",
    "stdbuf": "eio",
    "sudo": "CgpTu",
    "time": "fo",
    "timeout": "ks",
    "exec": "a",
    "xargs": "EIILPdns",
    "xvfb-run": "efnps",
}
"""Programs that start another one, with their short options that take a value."""
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_OPERATOR = re.compile(r"&&|\|\||;;|\|&|[;|&()\n]")
_REDIRECTION = re.compile(r"\d*(?:<<<|>>|>\||[<>]&|<>|&>>|&>|[<>])")
_VARIABLE = re.compile(r"\$(?:\w+|[@*#?$!-])")
_NESTED = 6


class _UnsureError(Exception):
    """Text that this module does not understand."""


@frozen
class _Token:
    text: str
    line: int
    kind: str
    """``word``, ``operator``, ``redirection`` or ``function`` (the name of one that is defined)."""
    quoted: bool = False


def started_in(text: str, depth: int = 0) -> Iterator[tuple[int, str | Script]]:
    """Yield what shell text starts, with the line, from 1; nothing of text that is not understood.

    Args:
        text: with :data:`~cog_nix.programs.words.UNKNOWN` for what is not known.
        depth: how many substitutions it is in.
    """
    if depth > _NESTED:
        return
    lexer = _Lexer(text)
    try:
        tokens = lexer.tokens()
        found = list(_commands(tokens))
    except _UnsureError:
        return
    functions = {token.text for token in tokens if token.kind == "function"}
    for command in found:
        for one in started([token.text for token in command]):
            if not (isinstance(one, str) and (one in functions or one in _ITSELF)):
                yield command[0].line, one
    for line, nested in lexer.nested:
        yield from ((line + inner - 1, one) for inner, one in started_in(nested, depth + 1))


def started(words: Sequence[str], *, anywhere: bool = True) -> Iterator[str | Script]:
    """Yield what a command starts.

    Args:
        words: of the command, with :data:`UNKNOWN` for what is not known.
        anywhere: whether the program is looked for in ``PATH``; otherwise only a path names one.
    """
    if not words:
        return
    first, rest = words[0], words[1:]
    if first.endswith(".sh") and UNKNOWN not in first:
        yield Script(first)
        return
    name = program(first, anywhere=anywhere)
    if not name:
        return
    yield name
    if name in _SHELLS:
        yield from _of_shell(rest)
    elif name in _LOOK_UP:
        yield from (found for word in rest if not word.startswith("-") and (found := program(word)))
    elif name in _VALUED:
        yield from started(_behind_options(name, rest))


def _of_shell(words: Sequence[str]) -> Iterator[str | Script]:
    for position, word in enumerate(words):
        if re.fullmatch(r"-[a-z]*c", word):
            if position + 1 < len(words):
                yield from (found for _, found in started_in(words[position + 1]))
            return
        if not word.startswith(("-", "+")):
            if word.endswith(".sh") and UNKNOWN not in word:
                yield Script(word)
            return


def _behind_options(name: str, words: Sequence[str]) -> Sequence[str]:
    """Return the words behind a program's options, where the next program begins."""
    position = 0
    while position < len(words):
        word = words[position]
        if word.startswith("--"):
            position += 1
            if word == "--":
                break
        elif word.startswith("-") and len(word) > 1:
            position += 1 + (len(word) == len("-x") and word[1] in _VALUED[name])
        elif name in {"env", "sudo"} and _ASSIGNMENT.match(word):
            position += 1
        else:
            break
    return words[position + (name == "timeout") :]


def words_of(text: str) -> list[str]:
    """Return the words of shell text that are no command's first; of text that is not understood, all."""
    try:
        tokens = _Lexer(text).tokens()
        first = {id(command[0]) for command in _commands(tokens)}
    except _UnsureError:
        return text.split()
    return [token.text for token in tokens if token.kind == "word" and id(token) not in first]


def _commands(tokens: list[_Token]) -> Iterator[list[_Token]]:
    """Yield the words of each command.

    Raises:
        _UnsureError: a compound command is not understood.
    """
    position, words = 0, list[_Token]()
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token.kind == "operator":
            if words:
                yield words
            words = []
        elif token.kind == "redirection":
            position += 1
        elif words:
            words.append(token)
        elif _is_skipped(token):
            position = _behind(tokens, position, "]]" if token.text == "[[" else "")
        elif not _is_before_a_command(token):
            words = [token]
    if words:
        yield words


def _is_skipped(token: _Token) -> bool:
    """Tell whether a word at a command's place begins what starts nothing.

    Raises:
        _UnsureError: it begins what is not understood.
    """
    if not token.quoted and token.text in {"case", "function", "select"}:
        raise _UnsureError
    return token.text in {"[", "[["} or (not token.quoted and token.text in {"for", *_CLOSING, *_BUILT_IN})


def _is_before_a_command(token: _Token) -> bool:
    if token.kind == "function" or _ASSIGNMENT.match(token.text):
        return True
    return token.text in _OPENING and not token.quoted


def _behind(tokens: list[_Token], position: int, end: str) -> int:
    """Return where what began ends: at a word, or with the command."""
    while position < len(tokens):
        if tokens[position].text == end if end else tokens[position].kind == "operator":
            break
        position += 1
    return position


class _Lexer:
    """Recognises tokens (2.3, Token Recognition)."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._line = text, 0, 1
        self._word: list[str] | None = None
        self._quoted = False
        self._found: list[_Token] = []
        self.nested: list[tuple[int, str]] = []
        """Command substitutions, with their lines."""

    def tokens(self) -> list[_Token]:
        """Return all of them.

        Raises:
            _UnsureError: quotes or brackets do not end, or there is a here-document.
        """
        while self._at < len(self._text):
            self._step(self._text[self._at])
        self._end_word()
        return self._found

    def _step(self, char: str) -> None:
        text, at = self._text, self._at
        if text.startswith("\\\n", at):
            self._at, self._line = at + 2, self._line + 1
        elif char in " \t\r":
            self._end_word()
            self._at += 1
        elif char == "#" and self._word is None:
            end = text.find("\n", at)
            self._at = len(text) if end < 0 else end
        elif self._special(char):
            return
        elif char in "\"'":
            self._quote(char)
        elif char == "\\":
            self._add(text[at + 1 : at + 2])
            self._at += 2
        elif char in "$`":
            self._substitution()
        else:
            self._add(char)
            self._at += 1

    def _special(self, char: str) -> bool:
        """Take an operator or a redirection, where there is one."""
        text, at = self._text, self._at
        if text.startswith("<<", at) and not text.startswith("<<<", at):
            raise _UnsureError
        if text.startswith(("<(", ">("), at):
            raise _UnsureError
        is_new = self._word is None or char in "<>&"
        redirection = _REDIRECTION.match(text, at) if is_new else None
        if redirection:
            if self._word is not None and char in "<>" and "".join(self._word).isdigit():
                self._word = None
            self._end_word()
            self._put(redirection[0], "redirection")
            self._at = redirection.end()
            return True
        operator = _OPERATOR.match(text, at)
        if operator is None:
            return False
        if char == "(" and self._word is not None:
            self._bracket()
            return True
        self._end_word()
        self._put(operator[0], "operator")
        self._line += char == "\n"
        self._at = operator.end()
        return True

    def _bracket(self) -> None:
        """Take ``name()``, or the list of an array."""
        word = "".join(self._word or ())
        if self._text.startswith("()", self._at):
            self._word = None
            self._put(word, "function")
            self._at += 2
        elif word.endswith("="):
            end = self._text.find(")", self._at)
            if end < 0:
                raise _UnsureError
            self._line += self._text.count("\n", self._at, end)
            self._at = end + 1
        else:
            raise _UnsureError

    def _quote(self, char: str) -> None:
        self._quoted = True
        self._add("")
        self._at += 1
        while self._at < len(self._text) and self._text[self._at] != char:
            inner = self._text[self._at]
            if char == '"' and inner in "$`":
                self._substitution()
                continue
            if char == '"' and inner == "\\":
                self._at += 1
                inner = self._text[self._at : self._at + 1]
            self._line += inner == "\n"
            self._add(inner)
            self._at += 1
        if self._at >= len(self._text):
            raise _UnsureError
        self._at += 1

    def _substitution(self) -> None:
        """Take a variable, an arithmetic expression, or a command whose output is taken (2.6)."""
        text, at = self._text, self._at
        self._add(UNKNOWN)
        if text[at] == "`":
            self._nest(at + 1, text.find("`", at + 1))
        elif text.startswith("$((", at):
            self._skip_to("))")
        elif text.startswith("$(", at):
            self._nest(at + 2, self._closing(at + 2))
        elif text.startswith("${", at):
            self._skip_to("}")
        else:
            found = _VARIABLE.match(text, at)
            self._at = found.end() if found else at + 1

    def _nest(self, start: int, end: int) -> None:
        if end < 0:
            raise _UnsureError
        self.nested.append((self._line, self._text[start:end]))
        self._line += self._text.count("\n", start, end)
        self._at = end + 1

    def _skip_to(self, end: str) -> None:
        position = self._text.find(end, self._at)
        if position < 0:
            raise _UnsureError
        self._line += self._text.count("\n", self._at, position)
        self._at = position + len(end)

    def _closing(self, position: int) -> int:
        """Return where the bracket closes that opened before a position; -1: nowhere."""
        depth, quote = 1, ""
        while position < len(self._text):
            char = self._text[position]
            if char == "\\" and quote != "'":
                position += 1
            elif quote:
                quote = "" if char == quote else quote
            elif char in "\"'":
                quote = char
            elif char in "()":
                depth += 1 if char == "(" else -1
                if depth == 0:
                    return position
            position += 1
        return -1

    def _add(self, text: str) -> None:
        self._word = self._word if self._word is not None else []
        self._word.append(text)

    def _end_word(self) -> None:
        if self._word is not None:
            self._put("".join(self._word), "word", quoted=self._quoted)
        self._word, self._quoted = None, False

    def _put(self, text: str, kind: str, *, quoted: bool = False) -> None:
        self._found.append(_Token(text, self._line, kind, quoted))
