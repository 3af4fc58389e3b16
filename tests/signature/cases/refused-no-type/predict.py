from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def predict(self, n=1) -> str:
        raise NotImplementedError
