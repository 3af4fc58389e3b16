from cog import BasePredictor


class Predictor(BasePredictor):
    def predict(self, old: int) -> str:
        raise NotImplementedError

    def run(self, new: str) -> str:
        raise NotImplementedError
