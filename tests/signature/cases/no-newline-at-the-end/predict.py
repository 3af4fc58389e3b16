from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> str:
        return prompt