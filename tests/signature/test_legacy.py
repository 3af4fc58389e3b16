"""Documents of the SDKs before 0.17 against what those SDKs say themselves (record_legacy.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cog_nix.errors import SignatureError
from cog_nix.signature import describe_model, document
from cog_nix.signature.legacy import is_legacy

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


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def run(self, a: str) -> str: ...", "Predictor must define predict()"),
        ("def predict(self, a: dict) -> str: ...", "takes no dict and no Any"),
        (
            "def predict(self, a: float = Input(choices=[0.5, 1.0])) -> str: ...",
            "choices are for str and int",
        ),
        (
            "def predict(self, a: Path = Input(accept='image/*')) -> str: ...",
            "Input() of cog 0.16.12 has no accept=",
        ),
    ],
)
def test_what_the_sdk_would_refuse_is_refused(tmp_path: Path, source: str, message: str) -> None:
    lines = f"from cog import BasePredictor, Input, Path\nclass Predictor(BasePredictor):\n    {source}\n"
    (tmp_path / "predict.py").write_text(lines)
    with pytest.raises(SignatureError) as caught:
        document(tmp_path, "predict.py:Predictor", None, "0.16.12")
    assert message in caught.value.shown()
    assert "predict.py" in caught.value.shown()


def test_predict_counts_where_run_is_there_too_and_nothing_is_said_of_it(tmp_path: Path) -> None:
    lines = "class Predictor:\n    def run(self): ...\n    def predict(self, a: int = 'x') -> str: ...\n"
    (tmp_path / "predict.py").write_text(lines)
    found = describe_model(tmp_path, "predict.py:Predictor", None, "0.16.12")
    assert [given.name for given in found.leading.inputs] == ["a"]
    assert found.leading.warnings == found.leading.pitfalls == ()


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.11.6", True),
        ("0.16.12", True),
        ("0.16.0rc1", True),
        ("0.17.0", False),
        ("1.0", False),
        ("", False),
    ],
)
def test_which_sdks_write_their_document_themselves(version: str, *, expected: bool) -> None:
    assert is_legacy(version) is expected
