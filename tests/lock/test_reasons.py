"""Reasons as values, and as the sentences of a lock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cog_nix.lock.reasons import Origin, Reason, Verb, parse

REASONS = [
    pytest.param(
        Reason("p", Verb.NEEDS, "libGL.so.1", Origin("numpy", "2.1"), "numpy/_c.so"),
        "numpy 2.1: numpy/_c.so needs libGL.so.1",
        id="file-of-a-package",
    ),
    pytest.param(
        Reason("p", Verb.NEEDS, "libGL.so.1", Origin(), "my needs/mine.so"),
        "The project: my needs/mine.so needs libGL.so.1",
        id="file-of-the-project",
    ),
    pytest.param(
        Reason("p", Verb.NEEDS, "libcurl.so.4", Origin(command=3), "usr/bin/curl"),
        "Command 3: usr/bin/curl needs libcurl.so.4",
        id="result-of-a-command",
    ),
    pytest.param(
        Reason("p", Verb.STARTS, "jq", Origin(), "predict.py"),
        "The project: predict.py starts jq",
        id="program",
    ),
    pytest.param(
        Reason("p", Verb.LOADS, "libenchant-2.so.2", Origin("pyenchant", "3.2")),
        "pyenchant 3.2 loads libenchant-2.so.2",
        id="what-is-known-of-a-package",
    ),
    pytest.param(
        Reason("p", Verb.COMPILES, "Python.h", Origin("triton", "3.0")),
        "triton 3.0 compiles with Python.h",
        id="header",
    ),
    pytest.param(
        Reason("p", Verb.LINKS, "libGL.so.1", Origin("opencv-python")),
        "opencv-python links to libGL.so.1",
        id="without-a-version",
    ),
    pytest.param(Reason("p", Verb.ASKED, "libgl1-mesa-glx"), "libgl1-mesa-glx is asked for", id="other-name"),
    pytest.param(
        Reason("p", text="numba: it loads what its extra names"),
        "numba: it loads what its extra names",
        id="text",
    ),
    pytest.param(Reason("p"), "", id="nothing"),
]


@pytest.mark.parametrize(("reason", "sentence"), REASONS)
def test_a_reason_is_read_as_it_was_written(reason: Reason, sentence: str) -> None:
    assert reason.sentence == sentence
    assert parse("p", sentence) == replace(reason, told="what is told at once is not kept")


@pytest.mark.parametrize(
    "sentence",
    [
        "Command 007: a needs b",
        "The project: needs b",
        "Command 1 needs",
        " needs b",
        "a b c needs d",
        "a: b needs c; d: e names f",
        "a\n: b needs c",
    ],
)
def test_whatever_a_lock_says_stays_as_it_is(sentence: str) -> None:
    assert parse("a-package", sentence).sentence == sentence
