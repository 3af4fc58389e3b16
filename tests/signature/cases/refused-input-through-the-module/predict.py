import cog
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data: str = cog.Input(default="x")) -> str:
        raise NotImplementedError
