from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data: (int)) -> str:
        raise NotImplementedError
