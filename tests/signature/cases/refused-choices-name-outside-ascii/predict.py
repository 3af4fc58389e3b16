from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, größe: str = Input(choices=["x"])) -> str:
        raise NotImplementedError
