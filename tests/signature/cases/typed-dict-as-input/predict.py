from typing import TypedDict
from cog import BasePredictor, Input, Path


class Options(TypedDict):
    a: str


class Predictor(BasePredictor):
    def predict(self, options: Options, many: list[Options] = []) -> str:
        raise NotImplementedError
