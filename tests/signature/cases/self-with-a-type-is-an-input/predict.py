from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self: Any, prompt: str = 'x') -> str:
        return prompt
