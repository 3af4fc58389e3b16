from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def predict(self) -> str:
        raise NotImplementedError
