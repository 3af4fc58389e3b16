from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, prompt: str = Input(description="ab", default="c")) -> str:
        return prompt
