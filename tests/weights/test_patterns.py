"""Which files ``include`` and ``exclude`` choose; what is expected was seen with Cog 0.23.1's library."""

from __future__ import annotations

import pytest

from cog_nix.weights.patterns import chosen


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.bin", "x.bin a/x.bin .bin x.bin/y", "x.bin.txt xbin"),
        ("/*.bin", "x.bin", "a/x.bin"),
        ("onnx/*.bin", "onnx/m.bin onnx/m.bin/x", "a/onnx/m.bin onnx/a/m.bin"),
        ("onnx/*", "onnx/m a/onnx/m onnx/m/n", "onnx onnxx/m"),
        ("onnx/model", "onnx/model a/onnx/model onnx/model/x", "onnx/models"),
        ("onnx/", "onnx/a a/onnx/b/c", "onnx"),
        ("onnx", "onnx onnx/a b/onnx", "onnx2"),
        ("**/x.bin", "x.bin a/x.bin a/b/x.bin", "ax.bin"),
        ("a/**", "a/b a/b/c a c/a/b", "ab"),
        ("a/**/b", "a/b a/x/b a/x/y/b", "a/xb ab"),
        ("?.bin", "?.bin", "x.bin"),
        ("model-[0-9].pt", "model-1.pt a/model-2.pt", "model-x.pt"),
        (" *.json ", "a.json", "a.jsonl"),
        ("a.b", "a.b", "axb"),
        ("[z-a].b", "[z-a].b", "z.b"),
        ("**/", "a/ b/c/", "a a/b"),
    ],
)
def test_patterns(pattern: str, yes: str, no: str) -> None:
    for path in yes.split():
        assert chosen(path, [pattern], [])
        assert not chosen(path, [], [pattern])
    for path in no.split():
        assert not chosen(path, [pattern], [])
        assert chosen(path, [], [pattern])


def test_what_is_excluded_is_not_included() -> None:
    assert chosen("a.bin", [], [])
    assert not chosen("a.bin", ["*.bin"], ["a.*"])
    assert chosen("b.bin", ["*.bin", "*.pt"], ["a.*"])
