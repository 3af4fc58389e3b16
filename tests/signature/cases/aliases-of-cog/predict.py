import pathlib
import cog
import cog as cogs
from cog import BasePredictor, Input, Input as In


class Predictor(BasePredictor):
    def predict(self, a: str = In(description="renamed", default="x"), b: cog.Path = None, c: cogs.Secret = Input(), d: pathlib.Path = "x") -> str:
        raise NotImplementedError
