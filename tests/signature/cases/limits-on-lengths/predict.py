from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, a: str = Input(min_length=2.9, max_length=1e3), b: str = Input(max_length=0)) -> str:
        raise NotImplementedError
