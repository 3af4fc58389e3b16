from typing import List

from cog import BasePredictor, Path


class Predictor(BasePredictor):
    def predict(self, count: int = 1) -> List[Path]:
        return []
