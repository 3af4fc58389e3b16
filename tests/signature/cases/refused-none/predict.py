from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data: None) -> str:
        raise NotImplementedError
