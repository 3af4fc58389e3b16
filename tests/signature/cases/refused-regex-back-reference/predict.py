from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def predict(self, word: str = Input(regex=r"(a)\1")) -> str:
        raise NotImplementedError
