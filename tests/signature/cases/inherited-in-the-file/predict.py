from cog import BasePredictor, Input, Path


class Base:
    def predict(self, prompt: str) -> str:
        return prompt


class Predictor(Base, BasePredictor):
    pass
