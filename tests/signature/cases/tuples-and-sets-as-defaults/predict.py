from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, a: list[int] = (1, 2), b: list[int] = (1, x, 2), c: list[str] = {'b', 'a'}, d: list[int] = ()) -> str:
        raise NotImplementedError
