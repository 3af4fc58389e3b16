"""Documents of the SDKs before 0.17 against what those SDKs say themselves (record_legacy.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cog_nix.errors import SignatureError
from cog_nix.signature import document

CASES = Path(__file__).parent / "legacy"
RECORDED = sorted(CASES.glob("*/*.json"))


def _entry(case: Path) -> tuple[str, str | None]:
    source = (case / "predict.py").read_text()
    name = "Predictor" if "class Predictor" in source else "predict"
    return f"predict.py:{name}", "predict.py:train" if "def train" in source else None


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_document_is_what_the_sdk_says(path: Path) -> None:
    recorded = json.loads(path.read_text())
    predict, train = _entry(path.parent)
    if "refused" in recorded:
        with pytest.raises(SignatureError):
            document(path.parent, predict, train, path.stem)
        return
    assert json.loads(document(path.parent, predict, train, path.stem)) == recorded
