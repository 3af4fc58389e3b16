from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, prompt: str = Input("a cat", description="What to draw")) -> str:
        return prompt
