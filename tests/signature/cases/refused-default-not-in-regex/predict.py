from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def predict(self, word: str = Input(default="A1", regex="^[a-z]+$")) -> str:
        raise NotImplementedError
