"""cog.yaml as text becomes plain data, with the line of every value.

The schema drives the conversion: where a string is wanted, a scalar's source text is taken, so that an
unquoted ``python_version: 3.10`` is "3.10" and not a number; where true or false is wanted, ``yes`` will do;
keys that no schema knows are left out, unread. That is also how upstream's decoder reads a file (Go structs
with typed fields). PyYAML is all this needs: it runs inside a Nix build.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from cog_nix.config import scalars, syntax
from cog_nix.config.form import alternatives, schema, types
from cog_nix.config.problem import LINE_BREAK, Problem, config_error, split_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

_T = TypeVar("_T")

Location = tuple[str | int, ...]
"""Where a value is: keys and list positions from the root."""

_COMMANDS: Location = ("build", "run")
"""Where upstream decodes twice, first without knowing what is wanted: all is read, a number is a number."""
_MAX_NODES = 10_000
_MAX_DEPTH = 60
_MOST_TABS = 100
"""So many tabs are mended in a file; for each it is parsed again."""
_SLOW = 20_000
"""Characters beyond which PyYAML's own parser takes too long to be asked why libyaml refused a text."""


@dataclass(frozen=True)
class Document:
    """A parsed file."""

    name: str
    text: str
    data: dict[str, Any]
    """Only what JSON can hold; keys and list items without a value are left out."""
    lines: dict[Location, int]
    problems: tuple[Problem, ...] = ()
    """What is wrong although it is YAML: a key that stands twice, say."""
    unknown: tuple[Location, ...] = ()
    """Keys that mean nothing here; what stands under them is not read."""

    def line(self, *location: str | int) -> int:
        """Return the line of a value, or of the nearest thing around it that has one."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.lines:
                return self.lines[location[:end]]
        return 0

    def value(self, kind: type[_T], *location: str) -> _T | None:
        """Return a value if it is there and of a type; a document need not be valid to be asked."""
        value: Any = self.data
        for part in location:
            value = value.get(part) if isinstance(value, dict) else None
        # bool is an int to Python, but a number is no boolean in YAML, nor the other way round.
        return value if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) else None


def parse(text: str, name: str = "cog.yaml") -> Document:
    """Read the first YAML document of a text.

    Args:
        text: the file's content.
        name: the file's name, for error messages.

    Raises:
        ConfigError: the text is no YAML, or its top level is no mapping; the message says what to write
        instead.
    """
    text = text.removeprefix("\ufeff")
    node = _compose(text, name)
    if node is None or _is_null(node):
        return Document(name, text, {}, {})
    if not isinstance(node, yaml.MappingNode):
        raise config_error(name, text, [_not_a_mapping(node, text)])
    builder = _Builder()
    data: dict[str, Any] = builder.value(node, schema(), ())
    return Document(name, text, data, builder.lines, tuple(builder.problems), tuple(builder.unknown))


def _compose(text: str, name: str) -> yaml.Node | None:
    if _is_bottomless(text):
        raise config_error(name, text, [_too_deep(1)])
    if not _is_deep(text):
        try:
            # libyaml is ten times as fast, but it explains less, recurses without a limit and balks at other
            # things.
            return _first(text, _loader("CSafeLoader" if hasattr(yaml, "CSafeLoader") else "SafeLoader"))
        except (yaml.YAMLError, ValueError) as error:
            if len(text) > _SLOW and isinstance(error, yaml.MarkedYAMLError):
                raise config_error(name, text, [syntax.explain(error, text)]) from error
    return _compose_slowly(text, name)


def _compose_slowly(text: str, name: str) -> yaml.Node | None:
    original = text
    for attempt in itertools.count():
        try:
            return _first(text, _loader("SafeLoader"))
        except yaml.MarkedYAMLError as error:
            blanked = _without_tab(text, error) if attempt < _MOST_TABS else None
            if blanked is None:
                raise config_error(name, original, [syntax.explain(error, original)]) from error
            text = blanked
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            what = f"there is a character (code {error.character!r}) that YAML does not allow"
            raise config_error(
                name, original, [Problem(line, what, "Remove it, or write it as an escape in double quotes.")]
            ) from error
        except RecursionError as error:
            raise config_error(name, original, [_too_deep(1)]) from error
        except ValueError as error:  # PyYAML computes with code points of escapes before it checks them
            raise config_error(name, original, [Problem(0, f"invalid YAML: {error}")]) from error
    raise AssertionError  # for the type checker: the loop has no end of its own


@cache
def _loader(name: str) -> type:
    return scalars.tagged_loader(getattr(yaml, name))


def _first(text: str, loader_class: Any) -> yaml.Node | None:
    loader = loader_class(text)
    try:
        node: yaml.Node | None = loader.get_node() if loader.check_node() else None
        return node
    finally:
        loader.dispose()


def _is_bottomless(text: str) -> bool:
    """Return whether so many brackets open and never close that no parser need be asked."""
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth = max(0, depth + (1 if bracket in "[{" else -1))
        if depth > _MAX_DEPTH * 10:
            return True
    return False


def _is_deep(text: str) -> bool:
    """Return whether nesting may be so deep that libyaml's composer would overflow the stack."""
    openers = text.count("[") + text.count("{") + text.count("- -") + text.count("? ")
    return openers > _MAX_DEPTH * 10 or " " * (_MAX_DEPTH * 4) in text


def _without_tab(text: str, error: yaml.MarkedYAMLError) -> str | None:
    """Return the text with a blank for the tab that PyYAML stumbled over.

    Between the parts of a line a tab is good YAML (YAML 1.2.2 §6.2), which PyYAML does not know; in front, it
    is not.
    """
    mark = error.problem_mark
    if mark is None or "'\\t'" not in (error.problem or ""):
        return None
    rows = re.findall(f".*?(?:{LINE_BREAK}|$)", text, re.DOTALL)
    row = rows[mark.line] if mark.line < len(rows) else ""
    if not row[: mark.column].strip() and row.strip():
        return None
    rows[mark.line] = row[: mark.column] + row[mark.column :].replace("\t", " ", 1)
    return "".join(rows)


def _not_a_mapping(node: yaml.Node, text: str) -> Problem:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return Problem(
            line, "this file is a list, and should begin with keys such as build:", "Remove the leading dash."
        )
    if syntax.missing_space(split_lines(text)[line - 1]):
        return syntax.without_space(split_lines(text), line - 1)
    return Problem(
        line, "this file should consist of keys such as build: and run:", "For example: run: run.py:Runner"
    )


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == scalars.PLAIN and node.value in scalars.NULLS


def _too_deep(line: int) -> Problem:
    return Problem(
        line, "this is nested deeper than anything in a cog.yaml can be", "Remove the inner levels."
    )


@dataclass
class _Builder:
    """Turns nodes into data and remembers where they were."""

    lines: dict[Location, int] = field(default_factory=dict)
    problems: dict[Problem, None] = field(default_factory=dict)
    unknown: list[Location] = field(default_factory=list)
    _count: int = 0
    _open: list[yaml.Node] = field(default_factory=list)
    """The nodes around the current one: an alias to one of these has no end."""

    def value(self, node: yaml.Node, fragment: dict[str, Any], location: Location) -> Any:
        """Return a node as the form the schema wants, or as it is where it has no such form."""
        self._count += 1
        if any(node is other for other in self._open):
            self._once(
                Problem(node.start_mark.line + 1, "this refers to itself", "Write the value out instead.")
            )
            return None
        if self._count > _MAX_NODES or len(self._open) > _MAX_DEPTH:
            self._once(_too_deep(self.lines.get(location, 1)))
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, fragment, location)
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, _form(fragment, "object"), location)
            return self._sequence(node, _form(fragment, "array").get("items", {}), location)
        finally:
            self._open.pop()

    def mapping(self, node: yaml.MappingNode, fragment: dict[str, Any], location: Location) -> dict[str, Any]:
        """Return a mapping; keys without a value are left out."""
        properties: dict[str, Any] | None = fragment.get("properties")
        result: dict[str, Any] = {}
        for key, item in self._pairs(node, location):
            place = (*location, key.value)
            if properties is not None and key.value not in properties:
                self.lines[place] = key.start_mark.line + 1
                self.unknown.append(place)
                if location[:2] != _COMMANDS:
                    continue
            self.lines[place] = (item if isinstance(item, yaml.ScalarNode) else key).start_mark.line + 1
            if item.start_mark.line < key.start_mark.line:  # an alias: its anchor stands elsewhere
                self.lines[place] = key.start_mark.line + 1
            value = self.value(item, (properties or {}).get(key.value, {}), place)
            if value is not None:
                result[key.value] = value
        return result

    def _pairs(
        self, node: yaml.MappingNode, location: Location
    ) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """Yield keys and values; ``<<`` brings in the keys of another mapping."""
        seen: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._once(
                    Problem(
                        line, "a key must be a single word", "Put a value with { } or [ ] in it in quotes."
                    )
                )
            elif key.tag == scalars.PLAIN and key.value == "<<":
                merged += item.value if isinstance(item, yaml.SequenceNode) else [item]
            elif key.value in seen:
                where = ".".join(map(str, (*location, key.value)))
                fix = f"It stands in line {seen[key.value]} already: keep one of the two."
                self._once(Problem(line, f'the key "{where}" stands here a second time', fix))
            else:
                seen[key.value] = line
                yield key, item
        for other in merged:
            for key, item in self._merged(other, location):
                if key.value not in seen:
                    seen[key.value] = key.start_mark.line + 1
                    yield key, item

    def _merged(self, node: yaml.Node, location: Location) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """Yield what a mapping behind ``<<`` brings in."""
        self._count += 1
        line = node.start_mark.line + 1
        if self._count > _MAX_NODES or len(self._open) > _MAX_DEPTH:
            self._once(_too_deep(line))
        elif not isinstance(node, yaml.MappingNode):
            self._once(Problem(line, "<< must name a mapping", "Remove the line with <<."))
        elif any(node is other for other in self._open):
            self._once(Problem(line, "this refers to itself", "Remove the line with <<."))
        else:
            self._open.append(node)
            yield from list(self._pairs(node, location))
            self._open.pop()

    def _sequence(self, node: yaml.Node, fragment: dict[str, Any], location: Location) -> list[Any]:
        """Return a list; items without a value are left out, as upstream's decoder does."""
        result: list[Any] = []
        for item in node.value:
            place = (*location, len(result))
            self.lines[place] = item.start_mark.line + 1
            value = self.value(item, fragment, place)
            if value is not None:
                result.append(value)
        return result

    def _scalar(self, node: yaml.ScalarNode, fragment: dict[str, Any], location: Location) -> Any:
        if re.search("[\ud800-\udfff]", node.value):
            what = "there is half a character (a lone surrogate)"
            self._once(Problem(node.start_mark.line + 1, what, "Remove it."))
            return None
        try:
            value = scalars.resolve(node)
        except scalars.TagError as error:
            self._once(Problem(node.start_mark.line + 1, str(error), "Remove the tag that begins with !!"))
            return None
        if value is None:
            return None
        if location[:2] == _COMMANDS:
            return self._of_command(node, value, location)
        wanted = {name for option in alternatives(fragment) for name in types(option)}
        read = scalars.boolean if "boolean" in wanted else scalars.integer if "integer" in wanted else None
        special = read(value) if read else None
        text: str = value if isinstance(value, str) else node.value
        return text if special is None else special

    def _of_command(self, node: yaml.ScalarNode, value: scalars.Value, location: Location) -> str | None:
        """Return a part of ``build.run`` as upstream's own reader of it has it.

        A command alone must be a text; in a mapping any scalar will do, and is a number first.
        """
        if isinstance(value, str) or len(location) > len(_COMMANDS) + 1:
            return scalars.written(value)
        what = f"build.run[{location[-1]}] must be a text or a mapping, not {node.value}"
        self._once(Problem(node.start_mark.line + 1, what, f'Put it in quotes: - "{node.value}"'))
        return None

    def _once(self, problem: Problem) -> None:
        self.problems[problem] = None


def _form(fragment: dict[str, Any], wanted: str) -> dict[str, Any]:
    """Return the form of a value that is of a JSON type, or an empty schema."""
    return next((option for option in alternatives(fragment) if wanted in types(option)), {})
