from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self) -> str:
        return prompt
