from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data: str | int = Input(ge=1)) -> str:
        raise NotImplementedError
