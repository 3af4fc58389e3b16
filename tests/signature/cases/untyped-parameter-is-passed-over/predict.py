from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, a, prompt: str) -> str:
        return prompt
