from __future__ import annotations

from typing import TYPE_CHECKING

from cog import BasePredictor, Input

if TYPE_CHECKING:
    from cog import Path


class Predictor(BasePredictor):
    def predict(self, image: Path, n: int | None = Input(default=None)) -> list[Path]:
        raise NotImplementedError
