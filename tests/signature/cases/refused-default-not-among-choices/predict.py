from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, style: str = Input(default="z", choices=["x", "y"])) -> str:
        raise NotImplementedError
