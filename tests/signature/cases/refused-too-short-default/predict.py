from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def predict(self, word: str = Input(default="ab", min_length=3)) -> str:
        raise NotImplementedError
