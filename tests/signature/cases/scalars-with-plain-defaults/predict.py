from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, prompt: str = "a cat", steps: int = 50, scale: float = 7.5, flip: bool = False, seed: int = -1) -> str:
        return prompt
