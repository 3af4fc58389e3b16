from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, a: str, /, b: str, *, c: str = 'x', d: int) -> str:
        raise NotImplementedError
