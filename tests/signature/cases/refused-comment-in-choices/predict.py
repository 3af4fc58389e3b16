from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data: str = Input(choices=["a",  # first
        "b"])) -> str:
        raise NotImplementedError
