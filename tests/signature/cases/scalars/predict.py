from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, prompt: str, steps: int, scale: float, flip: bool) -> str:
        return prompt
