from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> str:
        return prompt

    def train(self, data: Path) -> Path:
        return data
