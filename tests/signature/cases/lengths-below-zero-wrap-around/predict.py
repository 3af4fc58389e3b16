from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def predict(self, a: str = Input(default="x", min_length=-1), b: str = Input(max_length=-1)) -> str:
        raise NotImplementedError
