from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data: list[str] = Input(default_factory=list)) -> str:
        raise NotImplementedError
