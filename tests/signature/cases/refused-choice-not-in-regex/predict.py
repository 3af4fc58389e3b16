from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def predict(self, word: str = Input(default="A", choices=["A"], regex="^[a-z]+$")) -> str:
        raise NotImplementedError
