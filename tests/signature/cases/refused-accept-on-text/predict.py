from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data: str = Input(accept="image/*")) -> str:
        raise NotImplementedError
