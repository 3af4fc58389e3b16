"""Reasons as values, and as the sentences of a lock."""

from __future__ import annotations

import pytest

from cog_nix.lock.reasons import Origin, OtherName, Reason, Use, Verb, parse

CAUSES = [
    pytest.param(
        Use(Origin("numpy", "2.1"), Verb.NEEDS, "libGL.so.1", "numpy/_c.so"),
        "numpy 2.1: numpy/_c.so needs libGL.so.1",
        id="file-of-a-package",
    ),
    pytest.param(
        Use(Origin(), Verb.NEEDS, "libGL.so.1", "my needs/mine.so"),
        "The project: my needs/mine.so needs libGL.so.1",
        id="file-of-the-project",
    ),
    pytest.param(
        Use(Origin(command=3), Verb.NEEDS, "libcurl.so.4", "usr/bin/curl"),
        "Command 3: usr/bin/curl needs libcurl.so.4",
        id="result-of-a-command",
    ),
    pytest.param(
        Use(Origin(), Verb.STARTS, "jq", "predict.py"), "The project: predict.py starts jq", id="program"
    ),
    pytest.param(
        Use(Origin("pyenchant", "3.2"), Verb.LOADS, "libenchant-2.so.2"),
        "pyenchant 3.2 loads libenchant-2.so.2",
        id="what-is-known-of-a-package",
    ),
    pytest.param(
        Use(Origin("triton", "3.0"), Verb.COMPILES, "Python.h"),
        "triton 3.0 compiles with Python.h",
        id="header",
    ),
    pytest.param(
        Use(Origin("opencv-python"), Verb.LINKS, "libGL.so.1"),
        "opencv-python links to libGL.so.1",
        id="without-a-version",
    ),
    pytest.param(OtherName("libgl1-mesa-glx"), "libgl1-mesa-glx is asked for", id="other-name"),
    pytest.param("numba: it loads what its extra names", "numba: it loads what its extra names", id="text"),
    pytest.param("", "", id="nothing"),
]


@pytest.mark.parametrize(("cause", "sentence"), CAUSES)
def test_a_reason_is_read_as_it_was_written(cause: Use | OtherName | str, sentence: str) -> None:
    reason = Reason("a-package", cause, "what is told at once is not kept")
    assert reason.sentence == sentence
    assert parse("a-package", sentence) == reason


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
