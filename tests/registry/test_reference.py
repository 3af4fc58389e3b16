from __future__ import annotations

import re

import pytest

from cog_nix.errors import ConfigError
from cog_nix.registry.reference import Reference

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpine", "index.docker.io/library/alpine:latest"),
        ("me/model", "index.docker.io/me/model:latest"),
        ("docker.io/me/model:v1", "index.docker.io/me/model:v1"),
        ("r8.im/me/model", "r8.im/me/model:latest"),
        ("localhost/me/model", "localhost/me/model:latest"),
        ("localhost:5000/model", "localhost:5000/model:latest"),
        ("127.0.0.1:5000/a/b/c:T.a-g_1", "127.0.0.1:5000/a/b/c:T.a-g_1"),
        (f"registry.example.org/me/model@{DIGEST}", f"registry.example.org/me/model@{DIGEST}"),
        (f"registry.example.org/me/model:tag@{DIGEST}", f"registry.example.org/me/model@{DIGEST}"),
    ],
)
def test_parts(text: str, expected: str) -> None:
    assert str(Reference.parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bad//name@x",
        "UPPER/Case",
        "localhost:1/a",
        "me/model@sha256:0",
        "me/mo del",
        "a" * 256,
        "registry.example.org/me/model:" + "t" * 129,
        "registry.example.org:port/me/model",
    ],
)
def test_no_references_in_upstreams_words(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Reference.parse(text)
    assert caught.value.message == f'invalid image reference "{text}": could not parse reference: {text}'
    assert caught.value.hint


def test_a_default_tag() -> None:
    assert Reference.parse("me/model", default_tag="now").tag == "now"
    assert re.fullmatch(r".*:v1", str(Reference.parse("me/model:v1", default_tag="now")))
