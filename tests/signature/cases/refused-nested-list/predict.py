from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data: list[list[int]]) -> str:
        raise NotImplementedError
