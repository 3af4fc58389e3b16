from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, seed: int = Input(default=0, ge=1)) -> str:
        raise NotImplementedError
