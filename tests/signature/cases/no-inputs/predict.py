from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self) -> str:
        raise NotImplementedError
