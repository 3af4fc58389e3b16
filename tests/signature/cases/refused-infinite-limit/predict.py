from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, x: float = Input(le=inf)) -> str:
        raise NotImplementedError
