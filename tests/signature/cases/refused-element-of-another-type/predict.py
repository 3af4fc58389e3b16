from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, xs: list[int] = [1, 'b']) -> str:
        raise NotImplementedError
