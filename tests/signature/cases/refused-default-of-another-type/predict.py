from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, seed: int = "x") -> str:
        raise NotImplementedError
