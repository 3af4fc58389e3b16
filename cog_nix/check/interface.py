"""May who knows one model's interface use another's? Read off their OpenAPI documents, nothing is run.

Inputs may become more, outputs less: whatever was accepted has to be, and whatever is answered has to be
something that was answered before. What is compared is what OpenAPI 3.0's schema objects say and Cog writes
(https://spec.openapis.org/oas/v3.0.3#schema-object).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from cog_nix.check.matching import show
from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.validation import satisfies
from cog_nix.system.jsonvalue import members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cog_nix.runtime.schema import ApiSchema, Schema

_ANYTHING = "anything"
_show = partial(show, most=120)


class Effect(StrEnum):
    """What a change means for a client."""

    NONE = "same"
    NEW = "new"
    """It need not know of it."""
    DIFFERENT = "differs"
    """It goes on, and what it gets may be otherwise."""
    BREAKS = "breaks"


@dataclass(frozen=True)
class Finding:
    """A part of the interface, and what became of it."""

    part: str
    """``input steps``, ``output``, ``training``."""
    effect: Effect
    detail: str = ""
    """What changed, in a sentence; empty when nothing did."""


@dataclass(frozen=True)
class Narrowing:
    """A way in which a value that fits one schema may not fit another."""

    path: str
    """From the value to the part of it that may not; "" for itself."""
    subject: str
    """``type``, ``choices``, ``minimum``."""
    wide: str
    """What the first schema says; "": nothing."""
    narrow: str
    """What the second one does."""


def compare(old: ApiSchema, new: ApiSchema) -> tuple[Finding, ...]:
    """Return what became of each part of an interface.

    Args:
        old: what clients know.
        new: what they are to use.

    Raises:
        RuntimeFailure: a document is not one of a Cog model.
    """
    found = [*_inputs(old, new, train=False), *_output(old, new, train=False)]
    if _has(old, "/trainings"):
        if _has(new, "/trainings"):
            found += [*_inputs(old, new, train=True), *_output(old, new, train=True)]
        else:
            found.append(Finding("training", Effect.BREAKS, "the model cannot be trained any more"))
    elif _has(new, "/trainings"):
        found.append(Finding("training", Effect.NEW, "the model can be trained now"))
    if _streams(old) and not _streams(new):
        found.append(Finding("streaming", Effect.BREAKS, "answers are not streamed any more"))
    elif _streams(new) and not _streams(old):
        found.append(Finding("streaming", Effect.NEW, "answers can be streamed now"))
    return tuple(found)


def _post(schema: ApiSchema, path: str) -> dict[str, Any]:
    return members(members(members(schema.document.get("paths")).get(path)).get("post"))


def _has(schema: ApiSchema, path: str) -> bool:
    return bool(_post(schema, path))


def _streams(schema: ApiSchema) -> bool:
    return bool(_post(schema, "/predictions").get("x-cog-streaming"))


def _inputs(old: ApiSchema, new: ApiSchema, *, train: bool) -> Iterator[Finding]:
    kind = "training input" if train else "input"
    before, after = (one.input_component(train=train) for one in (old, new))
    had, has = (one.get("properties", {}) for one in (before, after))
    for name in {**had, **has}:
        part = f"{kind} {name}"
        required = [name in one.get("required", ()) for one in (before, after)]
        if name not in has:
            yield Finding(part, Effect.BREAKS, "is gone; a value that is sent for it is ignored")
        elif name not in had:
            effect = Effect.BREAKS if required[1] else Effect.NEW
            yield Finding(
                part, effect, "is new and required" if required[1] else "is new and may be left out"
            )
        else:
            yield _input(part, had[name], has[name], became_required=required == [False, True])


def _input(part: str, old: Schema, new: Schema, *, became_required: bool) -> Finding:
    broken = ["has to be given now"] if became_required else []
    broken += [_accepts_less(one) for one in narrowings(old, new)]
    if broken:
        return Finding(part, Effect.BREAKS, "; ".join(broken))
    if old.get("default") != new.get("default"):
        values = [_show(one["default"]) if "default" in one else "none" for one in (new, old)]
        return Finding(part, Effect.DIFFERENT, "its default is {}, it was {}".format(*values))
    if new.get("deprecated") and not old.get("deprecated"):
        return Finding(part, Effect.DIFFERENT, "is deprecated now")
    if list(narrowings(new, old)):
        return Finding(part, Effect.NEW, "accepts more")
    return Finding(part, Effect.NONE)


def _output(old: ApiSchema, new: ApiSchema, *, train: bool) -> Iterator[Finding]:
    part = "training output" if train else "output"
    before, after = (_output_of(one, train=train) for one in (old, new))
    if before is None:
        return
    if after is None:
        yield Finding(part, Effect.BREAKS, "is not described any more")
        return
    broken = [_answers_more(one) for one in narrowings(after, before)]
    came = "x-cog-array-type"
    if broken:
        yield Finding(part, Effect.BREAKS, "; ".join(broken))
    elif before.get(came) != after.get(came):
        now = "piece by piece" if after.get(came) else "at once"
        yield Finding(part, Effect.DIFFERENT, f"comes {now} now")
    elif list(narrowings(before, after)):
        yield Finding(part, Effect.NEW, "says more of what it may be")
    else:
        yield Finding(part, Effect.NONE)


def _output_of(schema: ApiSchema, *, train: bool) -> Schema | None:
    try:
        return schema.output(train=train)
    except RuntimeFailure:
        return None


def _accepts_less(one: Narrowing) -> str:
    """Say how an input accepts less than it did."""
    where = f"{one.path} " if one.path else ""
    if one.subject == "required":
        return f"{where}has to be given now"
    return f"{where}{one.subject} is {one.narrow or _ANYTHING}, it was {one.wide or _ANYTHING}"


def _answers_more(one: Narrowing) -> str:
    """Say how an output may be what it never was; here the new schema is the wide one."""
    where = f"{one.path} " if one.path else ""
    if one.subject == "required":
        return f"{where}may be missing now"
    return f"{where}{one.subject} is {one.wide or _ANYTHING}, it was {one.narrow or _ANYTHING}"


def narrowings(wide: Schema, narrow: Schema, path: str = "") -> Iterator[Narrowing]:
    """Yield the ways in which a value of one schema may not fit another.

    Args:
        wide: without references.
        narrow: the same.
        path: where the value is, for what is yielded.
    """
    candidates = _alternatives(narrow)
    for one in _alternatives(wide):
        found = [list(_pairs(one, other, path)) for other in candidates]
        if all(found):
            yield from min(found, key=lambda ways: (any(way.subject == "type" for way in ways), len(ways)))


def _alternatives(schema: Schema) -> list[Schema]:
    """Return schemas, of which a value fits at least one when it fits this one."""
    own = {key: value for key, value in schema.items() if key not in {"anyOf", "oneOf", "allOf", "nullable"}}
    for one in schema.get("allOf", ()):
        for key, value in one.items():
            own.setdefault(key, value)
    members = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    found = [{**own, **inner} for one in members for inner in _alternatives(one)] if members else [own]
    kinds = [
        {**one, "type": kind}
        for one in found
        for kind in (one["type"] if isinstance(one.get("type"), list) else [one.get("type")])
    ]
    kinds = [{key: value for key, value in one.items() if value is not None} for one in kinds]
    if schema.get("nullable") and not any(one.get("type") == "null" for one in kinds):
        kinds.append({"type": "null"})
    return kinds


def _pairs(wide: Schema, narrow: Schema, path: str) -> Iterator[Narrowing]:
    """Yield how one alternative is narrower than another."""
    choices = wide.get("enum")
    if choices is not None:
        refused = [one for one in choices if not satisfies(one, narrow)]
        if refused:
            allowed = narrow.get("enum")
            yield Narrowing(
                path,
                "choices" if allowed is not None else "type",
                _list(choices),
                _list(allowed) if allowed is not None else str(narrow.get("type", _ANYTHING)),
            )
        return
    mine, theirs = wide.get("type"), narrow.get("type")
    if theirs and mine != theirs and (mine, theirs) != ("integer", "number"):
        yield Narrowing(path, "type", str(mine or ""), str(theirs))
        return
    if "enum" in narrow:
        yield Narrowing(path, "choices", "", _list(narrow["enum"]))
    if (wide.get("format") == "uri") != (narrow.get("format") == "uri"):
        yield Narrowing(
            path, "value", *("a file" if one.get("format") == "uri" else "text" for one in (wide, narrow))
        )
    yield from _bounds(wide, narrow, path)
    if isinstance(narrow.get("items"), dict):
        yield from narrowings(wide.get("items", {}), narrow["items"], f"{path}[]")
    if mine == "object":
        yield from _objects(wide, narrow, path)


def _lower(schema: Schema, name: str, sign: int) -> tuple[float, bool] | None:
    """Return a bound as a number that grows when less fits, and whether it is excluded itself."""
    exclusive = f"exclusive{name.capitalize()}"
    found = []
    if name in schema:
        found.append((sign * schema[name], schema.get(exclusive) is True))
    if exclusive in schema and not isinstance(schema[exclusive], bool):
        found.append((sign * schema[exclusive], True))
    return max(found, default=None)


def _bounds(wide: Schema, narrow: Schema, path: str) -> Iterator[Narrowing]:
    for name, sign in (("minimum", 1), ("maximum", -1)):
        mine, theirs = _lower(wide, name, sign), _lower(narrow, name, sign)
        if theirs is not None and (mine is None or mine < theirs):
            told = ("" if one is None else _bound(sign * one[0], excluded=one[1]) for one in (mine, theirs))
            yield Narrowing(path, name, *told)
    for name, less in _LENGTHS.items():
        if name in narrow and (name not in wide or less(wide[name], narrow[name])):
            yield Narrowing(
                path, _WORDS[name], _show(wide[name]) if name in wide else "", _show(narrow[name])
            )


def _bound(value: float, *, excluded: bool) -> str:
    return f"{_show(value)} (excluded)" if excluded else _show(value)


_LENGTHS: dict[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(("minLength", "minItems", "minProperties"), lambda wide, narrow: wide < narrow),
    **dict.fromkeys(("maxLength", "maxItems", "maxProperties"), lambda wide, narrow: wide > narrow),
    **dict.fromkeys(("pattern", "multipleOf", "uniqueItems"), lambda wide, narrow: bool(wide != narrow)),
}
"""Whether the first value of a keyword allows what the second does not; of a pattern nobody can tell."""
_WORDS = {
    "minLength": "shortest length",
    "maxLength": "longest length",
    "minItems": "least number of items",
    "maxItems": "largest number of items",
    "minProperties": "least number of keys",
    "maxProperties": "largest number of keys",
    "pattern": "pattern",
    "multipleOf": "step",
    "uniqueItems": "uniqueness",
}


def _objects(wide: Schema, narrow: Schema, path: str) -> Iterator[Narrowing]:
    mine, theirs = (one.get("properties", {}) for one in (wide, narrow))
    for name in narrow.get("required", ()):
        if name not in wide.get("required", ()):
            yield Narrowing(_below(path, name), "required", "", "")
    for name, schema in mine.items():
        if name in theirs:
            yield from narrowings(schema, theirs[name], _below(path, name))
    values = narrow.get("additionalProperties")
    if isinstance(values, dict):
        others = wide.get("additionalProperties")
        yield from narrowings(members(others), values, f"{path}{{}}")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _list(values: list[Any]) -> str:
    return ", ".join(map(_show, values)) or "none"
