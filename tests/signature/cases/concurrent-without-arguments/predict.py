from cog import concurrent
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    @concurrent
    def predict(self, prompt: str) -> str:
        return prompt
