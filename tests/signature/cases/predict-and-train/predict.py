from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, prompt: str = "a & b", n: int = Input(default=9007199254740993, ge=1, le=9007199254740993), flags: list[str] = [], style: str = Input(choices=["x", "y"])) -> str:
        return prompt
