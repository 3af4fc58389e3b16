from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, Status: str = Input(choices=["a"]), Output: str = Input(choices=["b"])) -> str:
        raise NotImplementedError
