from typing import List

from cog import BaseModel, BasePredictor


class Point(BaseModel):
    """Where it is.

    In pixels.
    """

    x: int


class Found(BaseModel):
    "What was found."

    points: List[Point]


class Predictor(BasePredictor):
    def predict(self, n: int) -> Found:
        raise NotImplementedError
