from typing import List

from cog import BaseModel, BasePredictor, Path


class Point(BaseModel):
    x: int
    y: int = 0


class ModelOutput(BaseModel):
    points: List[Point]
    first: Point
    file: Path


class Predictor(BasePredictor):
    def predict(self, n: int) -> ModelOutput:
        raise NotImplementedError
