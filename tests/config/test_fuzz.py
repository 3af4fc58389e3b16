"""Whatever the file holds, the answer is a configuration or a message."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cog_nix.config import complete, load_settings, parse, validate
from cog_nix.config.model import Project
from cog_nix.errors import ConfigError

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
            load_settings(Project(root, root / "cog.yaml"))
        except ConfigError as error:
            assert str(error).startswith("cog-nix.toml:")  # noqa: PT017 - both outcomes are fine
