from typing import NotRequired, Required, TypedDict
from cog import BasePredictor, Input, Path


class Base(TypedDict):
    a: str
    b: NotRequired[int]


class Child(Base, total=False):
    c: float
    d: Required[bool]
    a: Required[int]


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> Child:
        return prompt
