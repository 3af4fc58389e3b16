from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data: str + int) -> str:
        raise NotImplementedError
