from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def predict(self, word: str = Input(regex=r"^(?!no).*$")) -> str:
        raise NotImplementedError
