from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, prompt: str = """two
lines""", n: int = Input(default=1,
  description="x")) -> str:
        return prompt
