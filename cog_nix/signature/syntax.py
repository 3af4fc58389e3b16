"""Python source as it is written.

The standard library's ``ast`` forgets parentheses, comments and the spelling of literals. Cog's schemas
depend on them (a description in parentheses is no description, for one), so this module keeps the text.
"""

from __future__ import annotations

import ast
import re
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from cog_nix.signature.newer import parse
from cog_nix.signature.refusal import RefusalError
from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

STRAY_BYTE = "\ufdd0"
"""Stands for a byte that is not UTF-8 (a code point that no text uses)."""

_BOM = b"\xef\xbb\xbf"
_NEWLINE = re.compile(rb"\r\n|\r|\n")
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_DOTTED = re.compile(r"\w+(?:\.\w+)+")
_MOST_PARTS = 20
_PUNCTUATION = re.compile(rb"#[^\r\n]*|[()]")

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Positioned = ast.expr | ast.stmt | ast.arg | ast.keyword


@frozen
class Expression:
    """An expression and whether it stands in parentheses of its own."""

    node: ast.expr
    parenthesised: bool = False


@frozen
class Argument:
    """A keyword argument of a call."""

    name: str
    value: Expression


@frozen
class Comment:
    """A comment between the parts of an expression."""

    text: str


Part = Expression | Argument | Comment


class Source:
    """A parsed file.

    Args:
        path: where it is, relative to the project; for messages and relative imports.
        data: its bytes.

    Raises:
        RefusalError: it is not Python, as far as the running interpreter can tell.
    """

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self._data = data
        self._starts = [0]
        try:
            text = _decode(data)
            self._data = text.encode()
            self._starts.extend(match.end() for match in _NEWLINE.finditer(self._data))
            self.tree = parse(text)
        except UnicodeDecodeError as error:
            line = len(_NEWLINE.findall(error.object, 0, error.start)) + 1
            reason = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
            raise self._not_python(reason, line, "Save the file as UTF-8.") from None
        except SyntaxError as error:
            line = error.lineno or self._line_of(b"\0")
            raise self._not_python(error.msg or "invalid syntax", line) from None
        except (RecursionError, MemoryError):
            raise self._not_python("the code is nested too deeply", 0) from None
        except (ValueError, OverflowError) as error:
            raise self._not_python(str(error), self._line_of(b"\0")) from None

    def _not_python(
        self, reason: str, line: int, hint: str = "Python itself cannot read this file."
    ) -> RefusalError:
        refusal = RefusalError(f"failed to parse Python source: {reason}", hint)
        refusal.at(self.path, line, self.line(line).strip())
        return refusal

    def _line_of(self, mark: bytes) -> int:
        """Return the line of the first ``mark``; zero without one."""
        at = self._data.find(mark)
        return 0 if at < 0 else len(_NEWLINE.findall(self._data, 0, at)) + 1

    def line(self, number: int) -> str:
        """Return a line's text without its end; empty when there is no such line."""
        if not 0 < number <= len(self._starts):
            return ""
        end = self._starts[number] if number < len(self._starts) else len(self._data)
        return self._data[self._starts[number - 1] : end].rstrip(b"\r\n").decode(errors="replace")

    @cached_property
    def dotted(self) -> frozenset[str]:
        """What stands behind a dot anywhere in the file: ``b.c`` and ``c`` of ``a.b.c``."""
        found: set[str] = set()
        for match in _DOTTED.finditer(self._data.decode(errors="replace")):
            parts = match[0].split(".")[-_MOST_PARTS:]
            found.update(".".join(parts[start:]) for start in range(1, len(parts)))
        return frozenset(found)

    def start(self, node: Positioned) -> int:
        """Return the offset of a node's first byte."""
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: Positioned) -> int:
        """Return the offset behind a node's last byte."""
        if node.end_lineno is None or node.end_col_offset is None:  # never so for a parsed tree
            return self.start(node)
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def slice(self, start: int, end: int) -> str:
        """Return the text between two offsets."""
        return self._data[start:end].decode(errors="replace")

    def text(self, node: Positioned) -> str:
        """Return a node as it is written."""
        return self.slice(self.start(node), self.end(node))

    def written(self, expression: Expression) -> str:
        """Return an expression as it is written, with its parentheses."""
        text = self.text(expression.node)
        return f"({text})" if expression.parenthesised else text

    def expression(self, node: ast.expr, after: int) -> Expression:
        """Return ``node``, which follows on what ends at ``after`` (a name, an operator, a bracket)."""
        return Expression(node, b"(" in _without_comments(self._data[after : self.start(node)]))

    def is_opened(self, node: ast.expr) -> bool:
        """Tell whether a parenthesis stands right before ``node``."""
        return self._data[: self.start(node)].rstrip(b" \t\f\r\n\\").endswith(b"(")

    def assigned(self, node: ast.Assign | ast.AnnAssign) -> tuple[str, Expression | None] | None:
        """Return name and value of ``name = value``, or None for any other kind of assignment."""
        if isinstance(node, ast.Assign):
            if len(node.targets) != 1:
                return None
            target, after = node.targets[0], node.targets[0]
        else:
            target, after = node.target, node.annotation
        if not isinstance(target, ast.Name) or self.start(target) != self.start(node):
            return None
        value = None if node.value is None else self.expression(node.value, self.end(after))
        return self.text(target), value

    def elements(self, node: ast.List | ast.Set | ast.Tuple) -> list[Part]:
        """Return what stands between a display's brackets, comments included."""
        return list(self._parts(node.elts, self.start(node) + 1, self.end(node) - 1))

    def arguments(self, call: ast.Call) -> list[Part]:
        """Return what stands between a call's parentheses, in the order it is written."""
        given: list[ast.expr | ast.keyword] = sorted([*call.args, *call.keywords], key=self.start)
        opening = self._data.find(b"(", self.end(call.func))
        return list(self._parts(given, opening + 1, self.end(call) - 1))

    def slices(self, node: ast.Subscript) -> list[Part]:
        """Return what stands between a subscript's brackets."""
        inner = node.slice
        many = isinstance(inner, ast.Tuple) and inner.elts and not self.is_bracketed(inner)
        nodes = inner.elts if isinstance(inner, ast.Tuple) and many else [inner]
        opening = self._data.find(b"[", self.end(node.value))
        return list(self._parts(nodes, opening + 1, self.end(node) - 1))

    def before_bracket(self, node: ast.Subscript) -> str:
        """Return what is subscripted, with its parentheses."""
        return self.slice(self.start(node), self._data.find(b"[", self.end(node.value))).rstrip()

    def pairs(self, node: ast.Dict) -> Iterator[tuple[Expression, Expression]]:
        """Yield a dict's keys and values; unpacked dicts are left out."""
        position = self.start(node)
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None:
                yield self.expression(key, position), self.expression(value, self.end(key))
            position = self.end(value)

    def is_bracketed(self, node: ast.Tuple) -> bool:
        """Tell ``(1, 2)`` from ``1, 2``, which are the same to ``ast``."""
        if not node.elts:
            return True
        opened = _without_comments(self._data[self.start(node) : self.start(node.elts[0])]).count(b"(")
        second = self.start(node.elts[1]) if len(node.elts) > 1 else self.end(node)
        rest = _without_comments(self._data[self.end(node.elts[0]) : second]).partition(b",")[0]
        return opened > rest.count(b")")

    def _parts(self, nodes: Sequence[ast.expr | ast.keyword], position: int, end: int) -> Iterator[Part]:
        depth = 0
        for node in nodes:
            for mark in _PUNCTUATION.findall(self._data[position : self.start(node)]):
                if mark in b"()":
                    depth += 1 if mark == b"(" else -1
                elif depth == 0:
                    yield Comment(mark.decode(errors="replace"))
            yield self._part(node, parenthesised=depth > 0)
            position = self.end(node)
        for mark in _PUNCTUATION.findall(self._data[position:end]):
            if mark in b"()":
                depth += 1 if mark == b"(" else -1
            elif depth == 0:
                yield Comment(mark.decode(errors="replace"))

    def _part(self, node: ast.expr | ast.keyword, *, parenthesised: bool) -> Part:
        if isinstance(node, ast.expr):
            return Expression(node, parenthesised)
        if node.arg is None:
            return Expression(node.value)
        return Argument(node.arg, self.expression(node.value, self.start(node)))


@contextmanager
def located(source: Source, node: ast.AST) -> Iterator[None]:
    """Give every refusal that leaves the block the place of ``node``."""
    try:
        yield
    except RefusalError as refusal:
        line = getattr(node, "lineno", 0)
        refusal.at(source.path, line, source.line(line).strip())
        raise


def classes(body: Iterable[ast.stmt]) -> Iterator[ast.ClassDef]:
    """Yield the classes defined directly in a body."""
    return (node for node in body if isinstance(node, ast.ClassDef))


def functions(body: Iterable[ast.stmt]) -> Iterator[FunctionNode]:
    """Yield the functions defined directly in a body."""
    return (node for node in body if isinstance(node, FunctionNode))


def _without_comments(gap: bytes) -> bytes:
    return re.sub(rb"#[^\r\n]*", b"", gap)


def _decode(data: bytes) -> str:
    """Decode as Cog does: always as UTF-8, each stray byte on its own.

    Python refuses stray bytes too, unless one of the first two lines declares another encoding (PEP 263).
    """
    data = data.removeprefix(_BOM)
    try:
        return data.decode()
    except UnicodeDecodeError:
        if not any(_CODING.match(line) for line in _NEWLINE.split(data, maxsplit=2)[:2]):
            raise
    return re.sub(r"[\ud800-\udfff]", STRAY_BYTE, data.decode(errors="surrogateescape"))
