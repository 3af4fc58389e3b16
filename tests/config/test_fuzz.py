"""Whatever the file holds, the answer is a configuration or a message."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cog_nix.config import complete, load, load_settings, parse, validate
from cog_nix.config.model import Project
from cog_nix.errors import ConfigError
from cog_nix_hooks.debian.settings import TABLE

pytestmark = pytest.mark.slow

KEYS = [
    "build",
    "image",
    "model",
    "run",
    "predict",
    "train",
    "concurrency",
    "observability",
    "environment",
    "weights",
    "gpu",
    "python_version",
    "cuda",
    "cudnn",
    "python_requirements",
    "python_packages",
    "system_packages",
    "pre_install",
    "sdk_version",
    "max",
    "traces",
    "enabled",
    "sampler",
    "config",
    "name",
    "target",
    "source",
    "uri",
    "include",
    "command",
    "mounts",
    "type",
    "id",
    "<<",
]
WORDS = [
    "3.12",
    "true",
    "yes",
    "",
    "~",
    "a.py:B",
    "torch==2.0.1",
    "torch",
    "A=1",
    "12.1",
    "8",
    "4",
    "-1",
    "r.txt",
    "/w",
    "secret",
    "|",
    ">-",
    "&a x",
    "*a",
    "!!int 3",
    "'",
    '"',
    "[",
    "{a: b}",
    "[a, b]",
    "é",
    "\t",
    "# c",
    "\\",
    "\x00",
]

FRAGMENTS = st.one_of(
    st.sampled_from([f"{key}:" for key in KEYS]),
    st.sampled_from(WORDS),
    st.sampled_from(["\n", "\n  ", "\n    ", "\n- ", "\n  - ", "\n    - ", " ", ": ", "\r\n", "---\n"]),
    st.text(max_size=3),
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text(max_size=5)
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


def survive(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            document = parse(text)
            validate(document, root)
            config = complete(document, root)
        except ConfigError as error:
            assert str(error).startswith("cog.yaml:")  # noqa: PT017 - both outcomes are fine
        else:
            config.label.encode("utf-8")


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_any_text(text: str) -> None:
    survive(text)


@given(st.lists(FRAGMENTS, max_size=25).map("".join))
@settings(max_examples=700, deadline=None)
def test_text_that_resembles_a_cog_yaml(text: str) -> None:
    survive(text)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "cog.yaml").write_bytes(content)
        try:
            load(Project(root, root / "cog.yaml"))
        except ConfigError as error:
            assert str(error).startswith("cog.yaml:")  # noqa: PT017 - both outcomes are fine


FIXTURES = [path.read_bytes().decode() for path in sorted(Path(__file__).parent.glob("projects/*/cog.yaml"))]
INSERTED = [
    "\t",
    "\r",
    "\ufeff",
    "\x00",
    "\x85",
    "[",
    "{",
    "&a ",
    "*a",
    "!!int ",
    "|",
    ": ",
    "- ",
    "#",
    "'",
    '"',
    "<<: ",
]


@st.composite
def mutated_fixtures(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(FIXTURES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.sampled_from([start, start, start + 1, start + 8]))
        text = text[:start] + draw(st.sampled_from(INSERTED) | st.text(max_size=2)) + text[end:]
    return text


@given(mutated_fixtures())
@settings(max_examples=700, deadline=None)
def test_mutated_projects(text: str) -> None:
    survive(text)


def laughs(first: str, joint: str, last: str) -> str:
    rows = [f"a0: &a0 {first}"]
    rows += [f"a{n}: &a{n} {joint.replace('X', f'*a{n - 1}')}" for n in range(1, 40)]
    return "\n".join([*rows, last])


TEN = ", ".join(["X"] * 10)
HOSTILE = {
    "flow-lists": "environment: " + "[" * 100_000,
    "flow-mappings": "build: " + "{a: " * 50_000,
    "block-lists": "- " * 50_000,
    "complex-keys": "? " * 5_000,
    "laughs": laughs("[x]", f"[{TEN}]", "environment: *a39"),
    "laughs-in-run": laughs("[x]", f"[{TEN}]", "build:\n  run: *a39"),
    "laughs-as-keys": laughs("{k: v}", "{a: X, b: X, c: X, d: X}", "build:\n  run: [*a39]"),
    "laughs-as-merges": laughs("{k: v}", f"{{<<: [{TEN}]}}", "build:\n  <<: *a39"),
    "recursive": "environment: &a [*a, &b {c: *b}]",
    "recursive-merge": "build: &b\n  <<: *b",
    "recursive-source": "model: a/b\nweights: &w\n- {name: a, target: /w, source: *w}",
    "many-keys": "".join(f"k{n}: 1\n" for n in range(5_000)),
    "one-key-many-times": "image: a\n" * 5_000,
    "long-list": "environment:\n" + "".join(f"- {n}\n" for n in range(20_000)),
    "long-number": f"concurrency: {{max: {'9' * 100_000}}}",
    "long-exponent": f"concurrency: {{max: 1e{'9' * 1_000}}}",
    "long-text": f"image: {'x' * 1_000_000}",
    "long-line-that-is-none": "image: [" + "a," * 50_000,
    "tabs": "image: a\n" + "\t\n" * 3_000,
    "brackets-in-quotes": f'image: "{"[" * 3_000}"',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_end_in_a_short_message(text: str, tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        document = parse(text)
        validate(document, tmp_path)
    except ConfigError as error:
        assert len(str(error)) < 50_000  # noqa: PT017 - both outcomes are fine
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 100_000_000


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
@settings(max_examples=500, deadline=None)
def test_any_values_under_known_keys(data: dict[str, object]) -> None:
    import yaml  # noqa: PLC0415

    survive(yaml.safe_dump(data, allow_unicode=True))


@given(
    st.text()
    | st.lists(
        st.sampled_from(["[debian]\n", "mirror", "=", "1", "'x'", "\n", "[layers]\n", "budget", "."])
    ).map("".join)
)
@settings(max_examples=300, deadline=None)
def test_any_settings(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "cog-nix.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            load_settings(Project(root, root / "cog.yaml"), [TABLE])
        except ConfigError as error:
            assert str(error).startswith("cog-nix.toml:")  # noqa: PT017 - both outcomes are fine
