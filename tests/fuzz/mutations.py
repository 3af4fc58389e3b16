"""What a careless or hostile hand makes of a good file: strategies that begin with one and break it."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DrawFn, SearchStrategy

_DEEP = 20_000

TEXTS = (
    "",
    " ",
    "\0",
    "a\nb",
    "\ud800",
    "é",
    "²",
    "٣",
    ".",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "a" * 300,
    "a/" * 2_500,
    "http://[",
    "https://[::1",
    "http://a:b@c:99999999/",
    "file:///dev/null",
    "data:,",
    "sha256:",
    "sha256:xx",
    "sha256:../../x",
    "-1",
    "1e999",
    "NaN",
    "9" * 30,
    "9" * 5_000,
    "0x10",
    "1_000",
    "--help",
    "${HOME}",
    "%s%n",
    ".\0x.whl",
)
"""Texts that are something else than what they stand for: surrogates, other digits, long names, paths."""

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2**31, 2**63, 2**64, 10**30, 0.5, -0.0, 1e300]),
    st.sampled_from(TEXTS),
    st.text(max_size=4),
)
ODD = st.one_of(
    _SCALARS,
    st.lists(_SCALARS, max_size=2),
    st.dictionaries(st.sampled_from(["", "digest", "size", "name", "a"]), _SCALARS, max_size=2),
)
"""Values of another type than whatever is expected."""


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield from _places(child, (*path, key))


def _with(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return value


def _without(value: Any, path: tuple[Any, ...]) -> Any:
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return value


@st.composite
def values(draw: DrawFn, *seeds: Any) -> Any:
    """Draw a good value with a few parts replaced, dropped or doubled."""
    value = copy.deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([*_places(value)]))
        what = draw(st.sampled_from(["replace", "replace", "drop", "wrap", "double"]))
        if what == "drop" and path:
            value = _without(value, path)
            continue
        inner = value
        for key in path:
            inner = inner[key]
        new = {
            "wrap": lambda inner=inner: [inner],
            "double": lambda inner=inner: [*inner, *inner] if isinstance(inner, list) else {"a": inner},
        }.get(what)
        value = _with(value, path, copy.deepcopy(new()) if new else draw(ODD))  # type: ignore[no-untyped-call]
    return value


_PIECES = st.one_of(
    st.sampled_from([*TEXTS, "\n", "\r", "\x85", '"', "\ufeff"]), st.text(max_size=3), st.just(None)
)
_LENGTHS = st.sampled_from([0, 0, 1, 2, 8, 40])


@st.composite
def texts(draw: DrawFn, *seeds: str) -> str:
    """Draw a good text with a few pieces cut out, doubled, or put in."""
    text = draw(st.sampled_from([*seeds, ""]))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(_LENGTHS)
        put = draw(_PIECES)
        text = text[:start] + (text[start:end] * 2 if put is None else put) + text[end:]
    return text


@st.composite
def contents(draw: DrawFn, *seeds: bytes) -> bytes:
    """Draw good bytes with a few of them changed, cut out, doubled, or the end cut off."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.sampled_from([0, 1, 1, 2, 4, 8, 64]))
        new = st.one_of(
            st.binary(min_size=end - start, max_size=end - start),
            st.sampled_from([b"", b"\0", b"\xff" * 8, b"-1", b"9" * 11]),
            st.just(bytes(data[start:end]) * 2),
        )
        data[start:end] = draw(new)
    if draw(st.integers(0, 4)) == 0:
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)


_DOCUMENTS = (
    ("[", _DEEP),
    ('{"a":', _DEEP),
    *(
        (one, 1)
        for one in ("null", "1", '"a"', "[]", "{}", "[{}]", "NaN", "-Infinity", '"\\ud800"', "\ufeff{}", "\0")
    ),
    ("9", 5_000),
)
"""JSON texts that are no documents of any kind, or too deep for a parser that calls itself, and how often."""


def json_texts(*seeds: Any) -> SearchStrategy[str]:
    """Draw texts of JSON: of broken values, and broken texts of good values."""
    dumped = tuple(map(_dumped, seeds))
    others = st.sampled_from(_DOCUMENTS).map(lambda one: one[0] * one[1])
    return st.one_of(values(*seeds).map(_dumped), values(*seeds).map(_dumped), texts(*dumped), others)


def encoded(text: str) -> bytes:
    """Return a text as bytes, lone surrogates as they are."""
    return text.encode("utf-8", "surrogatepass")
