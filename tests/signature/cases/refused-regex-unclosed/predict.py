from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def predict(self, word: str = Input(regex="[a-z")) -> str:
        raise NotImplementedError
