"""What the corpus cannot show: places and ways out in messages, odd files, what is said beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cog_nix
from cog_nix.errors import SignatureError
from cog_nix.signature import concurrency, describe_model, document
from cog_nix.signature.document import compact, indented

if TYPE_CHECKING:
    from cog_nix.signature.model import Signature

PREDICTOR = "from cog import BasePredictor, Input\n\n\nclass Predictor(BasePredictor):\n"


def write(root: Path, source: str | bytes, name: str = "predict.py") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source.encode() if isinstance(source, str) else source)
    return root


def predict(root: Path, source: str | bytes) -> str:
    return document(write(root, source), "predict.py:Predictor", None, "0.23.1")


def refusal(root: Path, source: str | bytes) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        predict(root, source)
    return caught.value


def signature(root: Path, source: str) -> Signature:
    return describe_model(write(root, source), "predict.py:Predictor", None).leading


def test_a_refusal_names_file_line_code_and_what_to_write(tmp_path: Path) -> None:
    parameters = "\n        self,\n        mode: Literal['a'],\n    "
    error = refusal(tmp_path, f"{PREDICTOR}    def predict({parameters}) -> str:\n        return mode\n")
    assert error.message == (
        "predict.py:7: unsupported type: Literal[...] is not a supported input type\n"
        "\n"
        "  7 | mode: Literal['a'],"
    )
    assert 'Input(choices=["a", "b"])' in error.hint


def test_a_refusal_in_an_imported_file_names_that_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        "from cog import BaseModel\n\n\nclass Out(BaseModel):\n    a: int\n    b: Tensor\n",
        "lib/out.py",
    )
    error = refusal(
        tmp_path, "from lib.out import Out\n\n\nclass Predictor:\n    def run(self) -> Out:\n        pass\n"
    )
    assert error.message.startswith("lib/out.py:6: field \"b\": cannot resolve type 'Tensor'")


def test_any_number_of_inputs_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, f"{PREDICTOR}    def predict(self, *words: str) -> str:\n        return ''\n")
    assert "parameter 'words' on predict takes any number of values" in error.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        SignatureError, match=r"failed to read predictor source gone\.py: No such file"
    ) as caught:
        document(tmp_path, "gone.py:Predictor", None, "0.23.1")
    assert "Create the file" in caught.value.hint


def test_nothing_to_describe(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match="no predict or train reference found"):
        document(tmp_path, None, None, "0.23.1")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("class Predictor(:\n", "predict.py:1: failed to parse Python source", id="syntax"),
        pytest.param("class Predictor:\n\0", "predict.py:2: failed to parse Python source", id="null-byte"),
        pytest.param(
            b"x = 1\n# caf\xe9\n", "predict.py:2: failed to parse Python source: byte 0xe9", id="bytes"
        ),
        pytest.param("x = " + "(" * 5000, "failed to parse Python source", id="unclosed"),
        pytest.param("x = " + "-" * 20000 + "1", "nested too deeply", id="deep"),
        pytest.param(
            f"def Predictor(a: {'a.' * 3000}b) -> str: pass",
            "nested too deeply|unsupported type",
            id="deep-type",
        ),
        pytest.param("x = " + "9" * 5000, "failed to parse|predictor not found", id="long-number"),
        pytest.param("", "predictor not found: Predictor", id="empty"),
    ],
)
def test_unreadable_source_is_one_error(tmp_path: Path, source: str | bytes, message: str) -> None:
    error = refusal(tmp_path, source)
    assert any(part in error.message for part in message.split("|"))
    assert error.hint


def test_a_declared_encoding_is_read_as_cog_reads_it(tmp_path: Path) -> None:
    function = "    def predict(self, a: str = 'caf\xe9') -> str:\n        return a\n"
    source = f"# -*- coding: latin-1 -*-\n{PREDICTOR}{function}"
    assert r'"default":"caf\ufffd"' in predict(tmp_path, source.encode("latin-1"))


@pytest.mark.parametrize("kind", ["missing", "broken", "a folder"])
def test_an_import_that_cannot_be_read_matters_only_when_needed(tmp_path: Path, kind: str) -> None:
    if kind == "broken":
        write(tmp_path, "def (", "lib.py")
    elif kind == "a folder":
        (tmp_path / "lib.py").mkdir()
    body = "class Predictor:\n    def run(self, a: str) -> {}:\n        return a\n"
    assert predict(tmp_path, f"from lib import Out\n\n\n{body.format('str')}")
    found = refusal(tmp_path, f"from lib import Out\n\n\n{body.format('Out')}").message
    assert ("lib.py:1: failed to parse" if kind == "broken" else "cannot resolve type 'Out'") in found


def test_files_that_import_each_other(tmp_path: Path) -> None:
    write(tmp_path, "from b import B\nfrom cog import BaseModel\n\n\nclass A(BaseModel):\n    b: B\n", "a.py")
    write(tmp_path, "from a import A\nfrom cog import BaseModel\n\n\nclass B(BaseModel):\n    a: A\n", "b.py")
    found = predict(
        tmp_path, "from a import A\n\n\nclass Predictor:\n    def run(self) -> A:\n        pass\n"
    )
    assert '"Output":{"properties":{"b":{"properties":{"a":{"title":"A","type":"object"}}' in found


def test_a_long_chain_of_imports_is_followed(tmp_path: Path) -> None:
    """Each import can name all that the one below can, so the names must not be spelled out beforehand."""
    head = "from cog import BaseModel\n"
    for number in range(30):
        write(
            tmp_path,
            f"{head}from m{number + 1} import M{number + 1}\n\n\n"
            f"class M{number}(BaseModel):\n    a: M{number + 1}\n",
            f"m{number}.py",
        )
    write(tmp_path, f"{head}\n\nclass M30(BaseModel):\n    last: int\n", "m30.py")
    function = "class Predictor:\n    def run(self) -> {}:\n        pass\n"
    found = predict(tmp_path, f"from m0 import M0\n\n\n{function.format('M0')}")
    assert '"last":{"title":"Last","type":"integer"}' in found
    other = refusal(tmp_path, f"import m0\n\n\n{function.format('m0.M1.M2.M3')}")
    assert other.message.startswith("m3.py:6: field \"a\": cannot resolve type 'M4'")


_LEFT_OUT = "text: str, *, times: int = Input(default=2), plain: int = 3, needed: int = Input(ge=1)"


@pytest.mark.parametrize(
    ("decorator", "parameters", "hidden"),
    [
        pytest.param("torch.inference_mode()", f"self, {_LEFT_OUT}", "times", id="inference-mode"),
        pytest.param(
            "torch.no_grad()", "self, a: int = Input(1), b: int = Input(default=2)", "a, b", id="no-grad"
        ),
        pytest.param("torch.no_grad()", "self, text: str = 'a'", "", id="plain-default"),
        pytest.param("torch.no_grad()", "self, text: str = Input(description='a')", "", id="no-default"),
        pytest.param("cog.concurrent(max=1)", f"self, {_LEFT_OUT}", "", id="cog-s-own"),
        pytest.param("staticmethod", _LEFT_OUT, "", id="static"),
    ],
)
def test_a_wrapper_hides_defaults_from_the_runtime(
    tmp_path: Path, decorator: str, parameters: str, hidden: str
) -> None:
    function = f"    @{decorator}\n    def run({parameters}) -> str:\n        return ''\n"
    text = f"import cog\nfrom cog import Input\nimport torch\n\n\nclass Predictor:\n{function}"
    found = signature(tmp_path, text).pitfalls
    assert bool(found) == bool(hidden)
    for one in found:
        assert one.startswith(f"predict.py:7: if @{decorator} wraps run(), ")
        assert f"default of Input() for {hidden}, " in one


def test_predict_is_reported_as_deprecated_and_run_is_not(tmp_path: Path) -> None:
    old = signature(tmp_path, f"{PREDICTOR}    def predict(self) -> str:\n        return ''\n")
    new = signature(tmp_path, f"{PREDICTOR}    def run(self) -> str:\n        return ''\n")
    assert old.warnings == ("Predictor.predict() is deprecated; use run() instead",)
    assert new.warnings == ()


@pytest.mark.parametrize(
    ("decorator", "function", "expected"),
    [
        pytest.param("", "def", (None, False), id="none"),
        pytest.param("", "async def", (None, True), id="async"),
        pytest.param("@cog.concurrent(max=4)", "async def", (4, True), id="maximum"),
        pytest.param("@cog.concurrent(max=1)", "def", (1, False), id="one"),
        pytest.param("@cog.concurrent", "async def", (1, True), id="bare"),
        pytest.param("@cog.concurrent()", "async def", (1, True), id="empty"),
        pytest.param("@other.concurrent(max=4)", "def", (None, False), id="of-another-module"),
    ],
)
def test_concurrency_does_not_look_at_types(
    tmp_path: Path, decorator: str, function: str, expected: tuple[int | None, bool]
) -> None:
    write(
        tmp_path, f"import cog\nclass Predictor:\n    {decorator}\n    {function} run(self, x: What): pass\n"
    )
    assert concurrency(tmp_path, "predict.py:Predictor", None) == expected


def test_concurrency_looks_at_train_only_without_predict(tmp_path: Path) -> None:
    write(tmp_path, "import cog\ndef run(): pass\n@cog.concurrent(max=2)\nasync def train(): pass\n")
    assert concurrency(tmp_path, "predict.py:run", "predict.py:train") == (None, False)
    assert concurrency(tmp_path, None, "predict.py:train") == (2, True)
    assert concurrency(tmp_path, None, None) == (None, False)


def test_strings_of_a_newer_python_inside_a_function_are_passed_over(tmp_path: Path) -> None:
    body = "        x = {'k': 1}\n        if x:\n            return f'{x['k']}'\n        return ''\n"
    after = "    def run(self, a: int = 3) -> str:\n        return f'{a!r}'\n"
    found = predict(tmp_path, f"{PREDICTOR}    def other(self) -> str:\n{body}\n{after}")
    assert '"default":3' in found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (-0.0, "-0"),
        (5.0, "5"),
        (True, "true"),
        (None, "null"),
        ('<a & b>\u2028\x01\b\x7f"\\', r'"\u003ca \u0026 b\u003e\u2028\u0001\b' + '\x7f\\"\\\\"'),
        ({"b": [], "a": {}}, '{"a":{},"b":[]}'),
    ],
    ids=repr,
)
def test_json_is_written_as_go_writes_it(value: object, text: str) -> None:
    assert compact(value) == text


def test_the_version_appears_in_one_place_only(tmp_path: Path) -> None:
    """Documents are Cog 0.23.1's; with another ``sdk_version`` only the version changes."""
    write(tmp_path, f"{PREDICTOR}    def run(self, a: str) -> str:\n        return a\n")
    older, newer = (
        document(tmp_path, "predict.py:Predictor", None, version) for version in ("0.17.0", "9.9.9rc1")
    )
    assert '"info":{"title":"Cog","version":"9.9.9rc1"}' in newer
    assert older.replace("0.17.0", "9.9.9rc1") == newer


def test_a_merged_document_is_indented_and_its_numbers_are_floats() -> None:
    assert indented({"b": [1, {"c": True}], "a": {}, "d": 2**63 - 1}) == (
        '{\n  "a": {},\n  "b": [\n    1,\n    {\n      "c": true\n    }\n  ],\n  "d": 9223372036854776000\n}'
    )


def test_it_runs_on_the_standard_library_alone(tmp_path: Path) -> None:
    write(tmp_path, f"{PREDICTOR}    def run(self) -> str:\n        return ''\n")
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]);"
        "from cog_nix.signature import document;"
        "document(pathlib.Path(sys.argv[2]), 'predict.py:Predictor', None, '1');"
        "print(*sorted(name for name in sys.modules if name.startswith('cog_nix')));"
        "print(*(n for n in {m.partition('.')[0] for m in sys.modules} - sys.stdlib_module_names))"
    )
    root = Path(cog_nix.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(root), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    ours, foreign = done.stdout.splitlines()
    assert set(foreign.split()) <= {"__main__", "cog_nix"}
    assert {name for name in ours.split() if not name.startswith("cog_nix.signature")} == {
        "cog_nix.system",
        "cog_nix",
        "cog_nix.errors",
        "cog_nix.system.golang",
        "cog_nix.system.regular",
        "cog_nix.system.values",
    }


def is_document_or_one_error(root: Path, reference: str) -> bool:
    try:
        found = document(root, reference, None, "0.23.1")
    except SignatureError as error:
        return bool(error.message)
    return bool(json.loads(found)["openapi"] == "3.0.2")


WORDS = st.sampled_from(
    [
        *(
            "class Predictor",
            "(BasePredictor)",
            ":\n    ",
            "def run",
            "(self, ",
            "a: ",
            "str",
            " = ",
            "Input(",
            ")",
        ),
        *(
            " -> ",
            "Optional[",
            "List[",
            "]",
            " | None",
            "'x'",
            '"y',
            "[1, 2]",
            "# c\n",
            "\n",
            "async ",
            "@streaming",
        ),
        *(
            "from cog import Input\n",
            "import cog\n",
            "return",
            "default=",
            "choices=",
            "ge=-1",
            "(",
            "{'a': 1}",
            ", ",
        ),
        *(
            "\\\n",
            "é",
            "\0",
            "\r",
            "\f",
            "Iterator[str]",
            "TypedDict",
            "BaseModel",
            "f'{",
            "}",
            "1e999",
            "0x1",
            "*",
        ),
    ]
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.lists(WORDS, max_size=40).map("".join), st.text(max_size=80)))
def test_any_text_is_a_document_or_one_error(tmp_path: Path, text: str) -> None:
    write(tmp_path, text.encode("utf-8", "surrogatepass"))
    for reference in ("predict.py:Predictor", "predict.py:run"):
        assert is_document_or_one_error(tmp_path, reference)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=12).map("".join), st.lists(WORDS, max_size=6).map("".join))
def test_any_parameter_is_a_document_or_one_error(tmp_path: Path, parameters: str, output: str) -> None:
    write(tmp_path, f"class Predictor:\n    def run(self, a: {parameters}) -> {output}:\n        return a\n")
    assert is_document_or_one_error(tmp_path, "predict.py:Predictor")


@pytest.mark.parametrize(
    ("imported", "written", "property_"),
    [
        ("from cog import Path as CogPath", "CogPath", {"type": "string", "format": "uri"}),
        ("from pathlib import Path as P", "P", {"type": "string", "format": "uri"}),
        ("from cog import Secret as Token", "Token", {"type": "string", "format": "password"}),
        ("from cog import File as CogFile", "list[CogFile]", {"type": "array"}),
    ],
)
def test_types_of_cog_may_be_imported_under_another_name(
    tmp_path: Path, imported: str, written: str, property_: dict[str, str]
) -> None:
    body = f"class Predictor:\n    def predict(self, a: {written}) -> str:\n        return ''\n"
    schemas = json.loads(predict(tmp_path, f"{imported}\n\n\n{body}"))["components"]["schemas"]
    assert property_.items() <= schemas["Input"]["properties"]["a"].items()


def test_a_path_under_another_name_may_be_returned(tmp_path: Path) -> None:
    source = "from cog import Path as CogPath\n\n\ndef predict(a: str) -> list[CogPath]:\n    return []\n"
    output = json.loads(document(write(tmp_path, source), "predict.py:predict", None, "0.23.1"))
    assert output["components"]["schemas"]["Output"]["items"] == {"type": "string", "format": "uri"}


def test_another_librarys_type_is_no_path_whatever_its_name(tmp_path: Path) -> None:
    body = "class Predictor:\n    def predict(self, a: CogPath) -> str:\n        return ''\n"
    assert "CogPath" in refusal(tmp_path, f"from upath import Path as CogPath\n\n\n{body}").message
