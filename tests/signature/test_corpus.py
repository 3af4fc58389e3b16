"""Every predictor in ``cases/`` gives the very bytes that Cog 0.23.1 gives, or is refused in its words."""

from __future__ import annotations

from pathlib import Path

import pytest

from cog_nix.errors import SignatureError
from cog_nix.signature import document

CASES = Path(__file__).parent / "cases"
ACCEPTED = sorted(path.parent for path in CASES.glob("*/expected.json"))
REFUSED = sorted(path.parent for path in CASES.glob("*/expected-error.txt"))


def references(case: Path) -> dict[str, str]:
    lines = (case / "cog.yaml").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines)


def described(case: Path) -> str:
    named = references(case)
    return document(case, named.get("predict"), named.get("train"), "0.23.1")


def test_no_case_is_left_out() -> None:
    assert len(ACCEPTED) >= 95
    assert len(REFUSED) >= 80
    assert {path for path in CASES.iterdir() if path.is_dir() and path.name[0] != "."} == {
        *ACCEPTED,
        *REFUSED,
    }


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_the_document_is_byte_for_byte_cogs(case: Path) -> None:
    assert described(case).encode() == (case / "expected.json").read_bytes()


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_cog_refuses_is_refused_in_its_words_with_a_way_out(case: Path) -> None:
    with pytest.raises(SignatureError) as caught:
        described(case)
    assert (case / "expected-error.txt").read_text().strip() in caught.value.message
    assert caught.value.hint
