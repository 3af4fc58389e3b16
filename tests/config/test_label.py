"""Labels that change after the configuration was completed."""

from __future__ import annotations

from cog_nix.config import with_concurrency
from cog_nix.config.label import dump


def test_concurrency_of_the_decorator_takes_its_place_in_the_order() -> None:
    label = '{"build":{},"predict":"p.py:P","environment":["A=\\u003c"]}'
    assert with_concurrency(label, 4) == (
        '{"build":{},"predict":"p.py:P","concurrency":{"max":4},"environment":["A=\\u003c"]}'
    )


def test_concurrency_of_the_file_takes_precedence() -> None:
    label = '{"build":{},"concurrency":{"max":2}}'
    assert with_concurrency(label, 4) == label


def test_escapes_are_those_of_go() -> None:
    assert dump('<>&\u2028"\\/\x7fé\x01') == '"\\u003c\\u003e\\u0026\\u2028\\"\\\\/\x7fé\\u0001"'
