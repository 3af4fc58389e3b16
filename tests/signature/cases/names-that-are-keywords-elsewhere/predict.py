from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, type: str, match: int = 1, input: str = "x", print: bool = True, format_: str = "png", _x__y: int = 0) -> str:
        raise NotImplementedError
