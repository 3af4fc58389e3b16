from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def predict(self, x: float = Input(ge=nan)) -> str:
        raise NotImplementedError
