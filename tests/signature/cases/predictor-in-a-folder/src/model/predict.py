from . import types_
from .types_ import Out
from ..shared import Other
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> types_.Out:
        return prompt
