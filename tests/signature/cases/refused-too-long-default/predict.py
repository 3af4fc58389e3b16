from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, text: str = Input(default="abcdef", max_length=5)) -> str:
        raise NotImplementedError
