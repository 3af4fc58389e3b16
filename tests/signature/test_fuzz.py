"""Whatever stands in a model's files, there is a document or one error that names what is wrong."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cog_nix.errors import CogNixError
from cog_nix.signature import concurrency, document
from cog_nix.signature.newer import in_older_words

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

pytestmark = pytest.mark.slow

CASES = Path(__file__).parent / "cases"
CORPUS = sorted(path.read_bytes().decode(errors="surrogateescape") for path in CASES.glob("*/predict.py"))
TOKEN = re.compile(r'"""|\'\'\'|"[^"\n]*"|\'[^\'\n]*\'|\w+|[ \t]+|.', re.DOTALL)
PIECES = [
    "None",
    "Optional[",
    "]",
    "(",
    ")",
    ",",
    " or ",
    "str",
    "int",
    "Input(",
    "=",
    "default=",
    "description=",
    "choices=",
    '"x"',
    '"a" + "b"',
    "'",
    "\\\n",
    "\n",
    "    ",
    "#c\n",
    "-1",
    "1e999",
    "*",
    "**",
    "...",
    "@",
    "class ",
    "def ",
    "async ",
    "-> str",
    "Any",
    "lambda: 1",
    "{",
    "}",
    "f'{x['k']}'",
    'f"{',
    "é",
    ".",
    "import cog\n",
    "ge=1",
    "regex='(a+)+$'",
    "regex='(?!'",
    "min_length=-1",
    "Union[",
    "BaseModel",
    "TypedDict",
    "type X[T] = int\n",
    "class A[T]:",
    "match",
    "not ",
    "\x00",
    "\x0c",
    "\r",
    "\ufeff",
    "�",
    "0x1",
    "1_0",
    "(1,)",
    "b'x'",
    "yield",
    ";",
    "except A, B:",
    "t'{x}'",
    "nan",
    "[:",
    ":=",
]
FUZZ = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def mutated(draw: DrawFn) -> str:
    """Draw a case of the corpus with tokens left out, repeated, replaced, or taken from another case."""
    tokens = TOKEN.findall(draw(st.sampled_from(CORPUS)))
    other = TOKEN.findall(draw(st.sampled_from(CORPUS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(tokens)))
        end = start + draw(st.integers(0, 5))
        taken = draw(st.integers(0, len(other)))
        tokens[start:end] = draw(
            st.sampled_from([[], tokens[start:end] * 2, other[taken : taken + 20]])
            | st.sampled_from(PIECES).map(lambda piece: [piece])
        )
    return "".join(tokens)


TYPES = st.recursive(
    st.sampled_from(
        [
            "int",
            "str",
            "float",
            "bool",
            "Path",
            "File",
            "Secret",
            "Any",
            "dict",
            "list",
            "Out",
            "Odd",
            "None",
            "'str'",
            "cog.Path",
            "t.Any",
        ]
    ),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["Optional", "List", "list", "Iterator", "Union", "X"]), inner).map(
            lambda pair: f"{pair[0]}[{pair[1]}]"
        ),
        st.tuples(inner, inner).map(lambda pair: f"{pair[0]} | {pair[1]}"),
        inner.map(lambda value: f"Dict[str, {value}]"),
        inner.map(lambda value: f"Annotated[{value}, Opaque]"),
    ),
    max_leaves=4,
)
VALUES = st.recursive(
    st.one_of(
        st.integers().map(str),
        st.floats().map(repr),
        st.text(max_size=8).map(repr),
        st.text(max_size=8).map(ascii),
        st.binary(max_size=4).map(repr),
        st.sampled_from(
            ["None", "True", "X", "f'{x}'", "1e999", "0x_1", "lambda: 1", "a.b", "'a' + 'b'", "-1"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(inner, max_size=3).map(lambda items: f"({', '.join(items)})"),
        st.tuples(inner, inner).map(lambda pair: f"{{{pair[0]}: {pair[1]}}}"),
    ),
    max_leaves=4,
)
ARGUMENTS = st.sampled_from(
    [
        "default",
        "description",
        "ge",
        "le",
        "min_length",
        "max_length",
        "regex",
        "choices",
        "deprecated",
        "accept",
        "default_factory",
        "other",
    ]
)


@st.composite
def predictors(draw: DrawFn) -> str:
    """Draw a predictor whose every type and value may be anything."""
    inputs = []
    for number in range(draw(st.integers(0, 3))):
        given_ = draw(st.dictionaries(ARGUMENTS, VALUES, max_size=3))
        call = f"Input({', '.join(f'{name}={value}' for name, value in given_.items())})"
        inputs.append(f", in_{number}: {draw(TYPES)} = {draw(st.sampled_from([call, draw(VALUES)]))}")
    return (
        "import cog, typing as t\nfrom cog import *\nfrom cog import Input, BaseModel, Opaque, Path\n"
        "from typing import Annotated, Any, Dict, List, Optional, Union\n"
        f"X = {draw(VALUES)}\n"
        f"class Out(BaseModel):\n    a: {draw(TYPES)} = {draw(VALUES)}\n    b: {draw(TYPES)}\n"
        f"class Predictor:\n    def run(self{''.join(inputs)}) -> {draw(TYPES)}:\n        return 1\n"
    )


def outcome(root: Path, reference: str) -> str | CogNixError:
    try:
        return document(root, reference, None, "0.23.1")
    except CogNixError as error:
        return error


def is_document_or_one_error(root: Path, data: bytes, *references: str) -> None:
    (root / "predict.py").write_bytes(data)
    for reference in references:
        found = outcome(root, reference)
        if isinstance(found, CogNixError):
            assert found.message.startswith("predict.py")
            assert found.hint
        else:
            assert json.loads(found)["openapi"] == "3.0.2"
        with suppress(CogNixError):
            concurrency(root, reference, None)


@FUZZ
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    is_document_or_one_error(tmp_path, data, "predict.py:Predictor", "predict.py:run")


@FUZZ
@given(mutated())
def test_any_mutated_case(tmp_path: Path, text: str) -> None:
    is_document_or_one_error(tmp_path, text.encode("utf-8", "surrogatepass"), "predict.py:Predictor")


@settings(FUZZ, max_examples=150)
@given(predictors())
def test_any_predictor(tmp_path: Path, text: str) -> None:
    is_document_or_one_error(tmp_path, text.encode("utf-8", "surrogatepass"), "predict.py:Predictor")


@FUZZ
@given(mutated().map(lambda text: text.encode("utf-8", "replace").decode()))
def test_every_byte_keeps_its_place_when_newer_syntax_is_rewritten(text: str) -> None:
    older = in_older_words(text)
    assert len(older.encode()) == len(text.encode())
    assert in_older_words(older) == in_older_words(in_older_words(older))


@pytest.mark.parametrize("part", ["predict.py", "lib/base.py"])
def test_cut_short_anywhere(tmp_path: Path, part: str) -> None:
    """Every beginning of a file, as an editor that saves while one types would leave it."""
    root = tmp_path / "project"
    shutil.copytree(CASES / "inherited-from-another-file", root)
    whole = (root / part).read_bytes()
    for end in range(len(whole)):
        (root / part).write_bytes(whole[:end])
        found = outcome(root, "predict.py:Predictor")
        assert found.startswith("{") if isinstance(found, str) else ".py" in found.message
