from typing import Dict

from cog import BasePredictor


class Predictor(BasePredictor):
    def predict(self, text: str) -> Dict[str, float]:
        return {}
