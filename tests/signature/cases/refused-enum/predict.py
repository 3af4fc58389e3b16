from enum import Enum
from cog import BasePredictor, Input, Path


class Color(str, Enum):
    RED = 'red'


class Predictor(BasePredictor):
    def predict(self, mode: Color) -> str:
        raise NotImplementedError
