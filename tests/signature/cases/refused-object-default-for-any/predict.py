from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, options: dict = 'x') -> str:
        raise NotImplementedError
