from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data: str = ("x")) -> str:
        raise NotImplementedError
