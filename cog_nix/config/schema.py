"""Does a document have the keys and types of a cog.yaml? Says where not, and what to write.

jsonschema takes longer to import than everything else a build that changes nothing does (0.1 s and more,
against 0.03 s for PyYAML), so a text that was found valid is remembered in the project's ``.cog`` folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

from cog_nix.config.form import alternatives, resolve, schema, schema_text, types
from cog_nix.config.problem import Problem, did_you_mean, nearest, split_lines
from cog_nix.config.syntax import missing_space
from cog_nix.errors import CogNixError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.config.document import Document, Location

RETIRED = {
    "build.fast": "cog-nix has one way of building, and it is fast",
    "build.cog_runtime": "there is one runtime only",
}
"""Keys of earlier releases that upstream ignores without a word; accepted, with a warning."""

_LOOK_LIKE_NUMBERS = {"python_version", "cuda", "cudnn", "sampler_arg"}

_TYPE_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
}


_Violation = Any
"""jsonschema's ValidationError, which its own types only half describe."""


def schema_problems(document: Document, state_dir: Path | None = None) -> list[Problem]:
    """Return where a document departs from the schema.

    Args:
        document: the parsed file.
        state_dir: where to remember that a text is valid; None: nowhere.
    """
    if state_dir is None:
        return sorted(set(_check(document)))
    from cog_nix.system.state import recall, remember  # noqa: PLC0415 - builds, where parts of this run, have no state

    mark = state_dir / "validated"
    digest = hashlib.sha256(f"{schema_text()}\0{document.text}".encode("utf-8", "replace")).hexdigest()
    if recall(mark) == digest:
        return []
    problems = sorted(set(_check(document)))
    if not problems:
        with contextlib.suppress(CogNixError):  # a project that cannot be written to is checked each time
            remember(mark, digest)
    return problems


def _check(document: Document) -> Iterator[Problem]:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - slow to import, see above

    validator = Draft202012Validator(schema())
    for error in validator.iter_errors(document.data):
        for leaf in _leaves(error):
            yield from _explain(leaf, document)


def _leaves(error: _Violation) -> Iterator[_Violation]:
    """Yield the errors of the form that a value was meant to have, not of every form it might have."""
    if error.validator != "anyOf" or not error.context:
        yield error
        return
    meant = [
        inner for inner in error.context if not (inner.validator == "type" and len(inner.relative_path) == 0)
    ]
    if not meant:
        yield error
    for inner in meant:
        yield from _leaves(inner)


def _explain(error: _Violation, document: Document) -> Iterator[Problem]:
    location: Location = tuple(error.absolute_path)
    if error.validator == "required":
        yield from _missing_keys(error, location, document)
    elif error.validator == "minLength":
        what = f"{_name(location)} is required, and empty here"
        yield Problem(document.line(*location), what, _example(location, _fragment(location) or {}))
    elif error.validator == "enum":
        known = [value for value in error.validator_value if value is not None]
        what = f'{_name(location)} cannot be "{error.instance}"'
        yield Problem(document.line(*location), what, _choose(str(error.instance), known))
    else:
        yield _wrong_type(error, location, document)


def unknown_keys(document: Document) -> Iterator[Problem]:
    """Yield the keys that mean nothing. Upstream ignores them, and so builds projects that have them.

    Those that hold an anchor for other places, and those that begin with ``x-``, are there on purpose.
    """
    for place in document.unknown:
        key, location = str(place[-1]), place[:-1]
        if len(place) == 1 and (key.startswith("x-") or _is_extension(key, document)):
            continue
        if location[:2] == ("build", "run") and (*location, "command") not in document.lines:
            continue  # no mapping was meant: see _unquoted
        reason = RETIRED.get(".".join(map(str, place)))
        if reason:
            yield Problem(document.line(*place), f'the field "{_name(place)}" has no effect: {reason}')
            continue
        known = sorted((_form(location) or schema())["properties"])
        what = f'there is no key "{_name(place)}" in cog.yaml'
        yield Problem(document.line(*place), what, _known_key(key, place, known))


def _form(location: Location) -> dict[str, Any] | None:
    """Return the kind of mapping that stands at a location."""
    options = alternatives(_fragment(location) or {})
    return next((option for option in options if "properties" in option), None)


def _known_key(key: str, place: Location, known: list[str]) -> str:
    if nearest(key, known):
        return _choose(key, known)
    sections = ("build", "concurrency", "observability")
    elsewhere = [f"{s}.{key}" for s in sections if key in schema()["properties"][s]["properties"]]
    if len(place) > 1 and key in schema()["properties"]:
        elsewhere.append(key)
    if elsewhere:
        return f"It belongs elsewhere: {elsewhere[0]}" + (
            " (at the left margin)." if elsewhere[0] == key else "."
        )
    return f"Known keys are {', '.join(known)}."


def _is_extension(key: str, document: Document) -> bool:
    """Return whether a top-level key is there to hold an anchor that other places refer to."""
    return bool(re.search(rf"(?m)^{re.escape(key)} *:.*&", document.text))


def _missing_keys(error: _Violation, location: Location, document: Document) -> Iterator[Problem]:
    for key in error.validator_value:
        if key in error.instance:
            continue
        place = (*location, key)
        if key == "command" and not error.instance.keys() <= {"mounts"}:
            yield _unquoted(error, location, document)
            return
        line = document.lines.get(place) or document.line(*location)
        what = (
            f"{_name(place)} is required"
            if place != ("build", "python_version")
            else "python_version is required"
        )
        yield Problem(line, what, _example(place, error.schema["properties"][key]))


def _unquoted(error: _Violation, location: Location, document: Document) -> Problem:
    """A list item such as ``- echo a: b``, which is a mapping to YAML."""
    line = document.line(*location)
    what = f"{_name(location)} is read as a mapping, because there is a colon and a space in it"
    words = (
        [f"{key}: {value}" for key, value in error.instance.items()]
        if isinstance(error.instance, dict)
        else []
    )
    fix = "Put it in quotes" + (f": - '{words[0]}'".replace("''", "'") if len(words) == 1 else ".")
    return Problem(line, what, fix)


def _wrong_type(error: _Violation, location: Location, document: Document) -> Problem:
    fragment = _fragment(location) or error.schema
    wanted = [name for option in alternatives(fragment) for name in types(option) if name != "null"]
    line = document.line(*location)
    if (
        isinstance(error.instance, dict)
        and "object" not in wanted
        and location
        and isinstance(location[-1], int)
    ):
        return _unquoted(error, location, document)
    must = " or ".join(dict.fromkeys(_TYPE_NAMES[name] for name in wanted)) or "something else"
    what = f"{_name(location) or 'the file'} must be {must}, not {_describe(error.instance)}"
    spaced = _spaced(document, line) if isinstance(error.instance, str) and "object" in wanted else []
    if spaced:
        return Problem(line, what, "\n".join(["There is no space after the colon. Write:", *spaced]))
    return Problem(line, what, _instead(error.instance, wanted, location, fragment))


def _spaced(document: Document, line: int) -> list[str]:
    """Return lines that lack the space behind the colon, with it: YAML takes all of them for one text."""
    mended = (missing_space(text) for text in split_lines(document.text)[line - 1 :])
    return list(itertools.takewhile(bool, (text or "" for text in mended)))


def _instead(value: Any, wanted: list[str], location: Location, fragment: dict[str, Any]) -> str:
    if isinstance(value, str) and wanted == ["array"]:
        return f"Write:\n{location[-1]}:\n  - {_written(0, value)}"
    if isinstance(value, str) and wanted == ["boolean"] and value.casefold() in {"true", "false"}:
        return f"Write it without quotes: {location[-1]}: {value.casefold()}"
    if isinstance(value, str) and wanted == ["integer"] and value.isdecimal():
        return f"Write it without quotes: {location[-1]}: {value}"
    if wanted == ["object"] and location and location[-1] == "concurrency" and str(value).isdecimal():
        return f"Write:\nconcurrency:\n  max: {value}"
    return _example(location, fragment)


def _example(location: Location, fragment: dict[str, Any]) -> str:
    """Return what a value may look like, as YAML."""
    examples = fragment.get("examples") or resolve(fragment).get("examples") or []
    key = location[-1] if location else ""
    if not examples:
        return ""
    example = examples[0]
    head = "" if isinstance(key, int) else f"{key}:"
    if isinstance(example, dict):
        body = [f"  {name}: {_written(name, value)}" for name, value in example.items()]
        return "\n".join(["For example:", head or "-", *body])
    if isinstance(example, list):
        return "\n".join(["For example:", head, *(f"  - {item}" for item in example)])
    return f"For example: {head or '-'} {_written(key, example)}"


def _written(key: str | int, value: Any) -> str:
    """Return a value as one writes it in YAML."""
    if isinstance(value, str):
        needs_quotes = key in _LOOK_LIKE_NUMBERS or re.search(r": |#|^[^\w/]", value)
        return f'"{value}"' if needs_quotes else value
    return json.dumps(value)


def _choose(word: str, known: list[str]) -> str:
    return did_you_mean(word, known) or f"It can be {', '.join(known)}."


def _describe(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return f'"{value}"' if isinstance(value, str) else json.dumps(value)


def _name(location: Location) -> str:
    """Return ``build.run[0]``, with list items counted as upstream counts them."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(
        "."
    )


def _fragment(location: Location) -> dict[str, Any] | None:
    """Return the part of the schema that a location falls under."""
    current = [schema()]
    fragment: dict[str, Any] | None = schema()
    for part in location:
        if isinstance(part, int):
            fragment = next((option["items"] for option in current if "items" in option), None)
        else:
            fragment = next((o["properties"][part] for o in current if part in o.get("properties", {})), None)
        if fragment is None:
            return None
        current = alternatives(fragment)
    return fragment
