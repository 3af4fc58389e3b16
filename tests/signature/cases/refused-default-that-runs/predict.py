from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data: str = os.getenv("X")) -> str:
        raise NotImplementedError
