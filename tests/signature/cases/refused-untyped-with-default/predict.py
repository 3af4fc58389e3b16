from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data=1) -> str:
        raise NotImplementedError
